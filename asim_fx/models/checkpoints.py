"""Read weights that others saved, without ever unpickling code, and put them into a model that they fit."""

from __future__ import annotations

import argparse
import json
import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asim_fx.errors import CheckpointError
from asim_fx.models.pact import ALPHA, BOUNDS

if TYPE_CHECKING:
    from torch import Tensor, nn

_WRAPPERS = ("state_dict", "model", "model_state_dict", "state_dict_ema", "model_ema")
"""Where training scripts keep the weights. Plain ones win over their moving average, as in timm."""
_PREFIXES = ("module.", "_orig_mod.")
"""What DataParallel and torch.compile put before every key."""
_SHOWN = 4

TRAINING = "asim_fx"
"""Key in the metadata of a safetensors file that tells a checkpoint of asim-train from plain weights."""

TRAINED = "model."
"""What stands before the weights in such a file."""


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint by name.

    Args:
        path: a ``.safetensors`` file, or one that ``torch.save`` wrote, which is read with
            ``weights_only=True``. A ``state_dict`` or ``model`` entry around the tensors and a ``module.``
            prefix are taken off. Of a checkpoint of asim-train, what the model in training holds.

    Raises:
        CheckpointError: the file is missing, damaged, needs pickled code, holds no tensors, or sparse ones.
    """
    if not path.is_file():
        msg = f"{path}: no such checkpoint file"
        raise CheckpointError(msg)
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    return _strip_prefixes(_unwrap(path, content))


def read_bounds(path: Path) -> dict[str, float]:
    """Return the bounds of rectifiers that a safetensors file has in its metadata, by name; see ``models.pact``.

    Raises:
        CheckpointError: they are no JSON object of positive numbers.
    """
    if path.suffix != ".safetensors":
        return {}
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        text = (file.metadata() or {}).get(BOUNDS)
    if text is None:
        return {}
    try:
        bounds = {str(name): float(value) for name, value in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError) as error:
        msg = f"{path}: its metadata {BOUNDS} holds no bounds by name"
        raise CheckpointError(msg) from error
    bad = [name for name, value in bounds.items() if not 0 < value < math.inf]
    if bad:
        msg = f"{path}: the bound of {bad[0]} is {bounds[bad[0]]}, which is no positive number"
        raise CheckpointError(msg)
    return bounds


def load_checkpoint(model: nn.Module, path: Path) -> None:
    """Put the weights of a checkpoint into a model, in place; every key and shape must fit.

    Raises:
        CheckpointError: the file cannot be read, or does not fit the model.
    """
    state = read_state_dict(path)
    expected = model.state_dict()
    # Checkpoints older than BatchNorm's batch counter lack it, and inference does not read it.
    missing = [key for key in expected if key not in state and not key.endswith("num_batches_tracked")]
    unexpected = [key for key in state if key not in expected]
    differing = [
        f"{key} {tuple(state[key].shape)} where the model has {tuple(expected[key].shape)}"
        for key in expected
        if key in state and state[key].shape != expected[key].shape
    ]
    if _of_training(path):
        unexpected = []  # sites' own scales, and bounds that were learned: no part of the original model
    problems = [
        f"{len(keys)} {what}: {_some(keys)}"
        for what, keys in (
            ("missing", missing),
            ("not in the model", unexpected),
            ("of another shape", differing),
        )
        if keys
    ]
    if problems:
        msg = f"{path} does not fit the model. " + "; ".join(problems)
        hint = "check the model's name, --num-classes, --input-size and --model-kwargs"
        if any(key.endswith(f".{ALPHA}") for key in unexpected):
            hint += "; asim-import checkpoint reads the weights of ASiM's networks and their bounds (PACT)"
        raise CheckpointError(msg, hint=hint)
    model.load_state_dict({key: value for key, value in state.items() if key in expected}, strict=False)


def _read_safetensors(path: Path) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors, trained = load_file(path), _of_training(path)
    except (SafetensorError, OSError, ValueError) as error:
        msg = f"{path} cannot be read as safetensors: {_first_line(error)}"
        raise CheckpointError(msg) from error
    if trained:
        return {name.removeprefix(TRAINED): held for name, held in tensors.items() if name.startswith(TRAINED)}
    return tensors


def _of_training(path: Path) -> bool:
    if path.suffix != ".safetensors":
        return False
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        return TRAINING in (file.metadata() or {})


def _read_torch(path: Path) -> Any:
    import pickle

    import torch

    if not _may_be_torch(path):
        msg = f"{path} is damaged or not a checkpoint: it is neither a torch file nor safetensors"
        raise CheckpointError(msg)
    try:
        with torch.serialization.safe_globals(_plain_values()), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the pickle protocol: what matters is raised
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "Unsupported" in str(error) or "global" in str(error).lower():
            msg = f"{path} holds Python objects, which are refused: reading them could run code"
            hint = "save only the tensors: safetensors.torch.save_file(model.state_dict(), FILE)"
            raise CheckpointError(msg, hint=hint) from error
        msg = f"{path} is damaged or not a checkpoint: {_first_line(error)}"
        raise CheckpointError(msg) from error
    except Exception as error:  # torch.load lets errors of zipfile, struct and its own C++ reader through
        msg = f"{path} is damaged or not a checkpoint: {_first_line(error)}"
        raise CheckpointError(msg) from error


def _plain_values() -> list[Any]:
    """Return what training scripts keep beside the weights: it holds values and runs nothing.

    timm's train.py keeps its arguments in a Namespace; others, ASiM's among them, an accuracy as a number of numpy's.
    """
    import numpy as np

    scalar = np.float64(0).__reduce__()[0]
    names = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
    dtypes = [np.dtype, *(type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64))]
    return [argparse.Namespace, *((scalar, name) for name in names), *dtypes]


def _may_be_torch(path: Path) -> bool:
    """Return whether a file starts as torch's do: with a zip archive, or with a pickle of a binary protocol."""
    with path.open("rb") as stream:
        return stream.read(4).startswith((b"PK\x03\x04", b"\x80"))


def _unwrap(path: Path, content: Any) -> Mapping[str, Tensor]:
    import torch

    while isinstance(content, Mapping):
        inner = next((content[key] for key in _WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            break
        content = inner
    if not isinstance(content, Mapping) or not content:
        msg = f"{path} holds no state_dict"
        raise CheckpointError(msg, hint=f"expected tensors by name, at the top or under {', '.join(_WRAPPERS)}")
    others = [str(key) for key, value in content.items() if not isinstance(value, torch.Tensor)]
    if others:
        msg = f"{path} holds other things than tensors: {_some(others)}"
        raise CheckpointError(msg, hint=f"expected tensors by name, at the top or under {', '.join(_WRAPPERS)}")
    nameless = [repr(key) for key in content if not isinstance(key, str)]
    if nameless:
        msg = f"{path} holds tensors under keys that are no names: {_some(nameless)}"
        raise CheckpointError(msg)
    sparse = [key for key, value in content.items() if value.layout != torch.strided]
    if sparse:
        msg = f"{path} holds sparse tensors: {_some(sparse)}"
        raise CheckpointError(msg, hint="save them with .to_dense()")
    return content


def _strip_prefixes(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    for prefix in _PREFIXES * 2:  # each may lie around the other
        if all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return dict(state)


def _some(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return ", ".join(keys[:_SHOWN]) + more


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
