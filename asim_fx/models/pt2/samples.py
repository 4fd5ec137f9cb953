"""The sample inputs of a ``.pt2`` archive: the one pickle that torch always writes, read as tensors or not at all."""

from __future__ import annotations

import io
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from asim_fx.errors import ModelError

_PLAIN = (Tensor, bool, int, float, str, type(None))


def read_samples(content: bytes, path: Path) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """Return the arguments that a program was exported with, on the CPU; None where the file has none.

    Raises:
        ModelError: they are something else than tensors, numbers and words in plain containers.
    """
    if not content:
        return None
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            infos = archive.infolist()
            compressed = any(info.compress_type != zipfile.ZIP_STORED for info in infos)
            if compressed or sum(info.file_size for info in infos) > len(content):
                message = "they are compressed"
                raise ValueError(message)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        args, kwargs = found
        plain = all(isinstance(leaf, _PLAIN) for leaf in pytree.tree_leaves(found))
        if not plain or not isinstance(args, (tuple, list)) or not isinstance(kwargs, dict):
            message = "they hold something else than tensors"
            raise ValueError(message)
    except Exception as error:  # torch.load lets errors of zipfile, struct, pickle and its own reader through
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        message = f"the sample inputs in {path} are refused: reading them could run code ({reason})"
        raise ModelError(message, hint="export with tensors, numbers and words as example inputs") from error
    return tuple(args), kwargs
