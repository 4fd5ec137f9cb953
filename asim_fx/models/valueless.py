"""Models without values, on torch's meta device: enough to plan one of any size."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace

import torch

from asim_fx.errors import ModelError
from asim_fx.models.library import LibraryModel


def build_without_values(build: Callable[[], LibraryModel]) -> LibraryModel:
    """Build a model whose parameters and buffers have shapes alone.

    A constructor that reads what it has just drawn (torchvision's regnets do) cannot run on the meta device: it builds
    the model with values, which are dropped.

    Args:
        build: the builder of the model.

    Raises:
        ModelError: the model cannot be built, with or without values.
    """
    try:
        with torch.device("meta"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that weights which ship inside have nowhere to go
            built = build()
    except ModelError:
        built = build()
    return replace(built, model=built.model.to("meta"))
