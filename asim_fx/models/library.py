"""What every source of models shares: the request, the result, and words for what goes wrong in between."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from torch import nn

from asim_fx.errors import ModelError

ImageSize = tuple[int, int, int]

IMAGENET_CONFIG: Mapping[str, Any] = {
    "input_size": (3, 224, 224),
    "mean": (0.485, 0.456, 0.406),
    "std": (0.229, 0.224, 0.225),
    "interpolation": "bilinear",
    "crop_pct": 0.875,
}
"""How images are prepared for a model that does not say: as torchvision's classifiers were trained."""

_NETWORK_PACKAGES = ("httpx", "requests", "huggingface_hub")


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """What a builder is asked for; the fields are those of ``asim_fx.models.build_model``."""

    name: str
    pretrained: bool = False
    num_classes: int | None = None
    input_size: ImageSize | None = None
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    has_checkpoint: bool = False


@dataclass(frozen=True, slots=True)
class LibraryModel:
    """What a builder gives.

    Attributes:
        model: the module as the library built it.
        input_size: channels, height, width of an image, or of one frame.
        data_config: how its images are prepared, with the keys of ``timm.data.resolve_data_config``; empty where it
            takes something else than one batch of images.
        frames: images of one sample, along a dimension behind the channels; None where a sample is one image.
        inputs: number of arguments of this form.
        listed: whether it takes a list of images instead of a batch.
    """

    model: nn.Module
    input_size: ImageSize
    data_config: Mapping[str, Any]
    frames: int | None = None
    inputs: int = 1
    listed: bool = False


def import_library(name: str) -> ModuleType:
    """Import timm or torchvision, either of which fails where torch and torchvision are no pair.

    Raises:
        ModelError: they are of different builds.
    """
    try:
        return importlib.import_module(name)
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        msg = "torch and torchvision do not belong together: one is a CPU build, the other a CUDA build"
        hint = "reinstall both from one index: pip install --force-reinstall torch torchvision"
        raise ModelError(msg, hint=hint) from error


def construct(request: ModelRequest, build: Callable[[], nn.Module]) -> nn.Module:
    """Call a constructor, and turn whatever it raises into words about the request.

    Raises:
        ModelError: the constructor failed.
    """
    try:
        return build()
    except Exception as error:  # constructors raise what they like, downloads too
        reason = f"{type(error).__name__}: {first_line(error)}"
        if "unexpected keyword argument 'img_size'" in str(error):
            msg = f"{request.name} takes images of one size only"
            raise ModelError(msg, hint="leave out --input-size") from error
        if _is_download(request, error):
            msg = f"the weights of {request.name} cannot be downloaded: {reason}"
            hint = "go online once, or get the file elsewhere and give --checkpoint FILE"
            raise ModelError(msg, hint=hint) from error
        size = "" if request.input_size is None else f" for images of {format_size(request.input_size)}"
        msg = f"{request.name} cannot be built{size}: {reason}"
        raise ModelError(msg, hint="check --num-classes, --input-size and --model-kwargs") from error


def format_size(size: tuple[int, ...]) -> str:
    """Return an image size as ``3x224x224``."""
    return "x".join(map(str, size))


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, or its type where there is none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _is_download(request: ModelRequest, error: Exception) -> bool:
    packages = {base.__module__.partition(".")[0] for base in type(error).__mro__}
    return (request.pretrained and isinstance(error, OSError)) or not packages.isdisjoint(_NETWORK_PACKAGES)
