"""Models from a ``.pt2`` file of torch.export: a user's model without its source."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from asim_fx.capture.program import example_of, input_shapes, module_of
from asim_fx.errors import ModelError, UsageError
from asim_fx.models.library import ImageSize, ModelRequest, format_size
from asim_fx.models.pt2 import ProgramFile, read_program

SUFFIX = ".pt2"


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """A model from a file.

    Attributes:
        model: the program as a module in eval mode.
        args: positional arguments of the form that it takes.
        kwargs: keyword arguments likewise.
        input_size: channels, height, width where it takes one batch of images, else None.
        sha256: of the file.
    """

    model: nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    input_size: ImageSize | None
    sha256: str


def build_exported(request: ModelRequest, *, seed: int = 0) -> ExportedFile:
    """Read the program in a file, with the arguments that it was exported with or random ones of their form.

    Raises:
        UsageError: an option that is for models which get built, or a size of image that the export fixed otherwise.
        ModelError: the file cannot be read, or holds something that could run code.
        CaptureError: what it holds cannot be used.
    """
    given = {
        "--pretrained": request.pretrained,
        "--num-classes": request.num_classes is not None,
        "--model-kwargs": bool(request.kwargs),
    }
    for option, is_given in given.items():
        if is_given:
            message = f"{option} is for models that are built by name; {request.name} holds one as it was exported"
            raise UsageError(message, hint="leave it out, or export the model that it would make")
    path = Path(request.name)
    file = read_program(path)
    args, kwargs = example_of(file.program, seed)
    if request.input_size is not None:
        args = _resized(file, request.name, args, request.input_size)
    elif file.samples is not None and _alike(file.samples, (args, kwargs)):
        args, kwargs = file.samples
    return ExportedFile(module_of(file.program), args, kwargs, _image_size(args, kwargs), file_hash(path))


def read_exported(path: Path) -> nn.Module:
    """Return the program in a file as a module in eval mode.

    Raises:
        ModelError, CaptureError: as ``build_exported``.
    """
    return module_of(read_program(path).program)


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file.

    Raises:
        ModelError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        message = f"cannot read {path}: {error.strerror or error}"
        raise ModelError(message) from error


def _resized(file: ProgramFile, name: str, args: tuple[Any, ...], size: ImageSize) -> tuple[Any, ...]:
    """Return images of another size, where the export left it open."""
    shapes = input_shapes(file.program)
    if len(shapes) != 1 or len(shapes[0]) != 4 or len(args) != 1 or not isinstance(args[0], Tensor):
        message = f"{name} does not take one batch of images, so it has no size of image"
        raise UsageError(message, hint="leave out --input-size")
    fixed = shapes[0][1:]
    if any(own not in (None, asked) for own, asked in zip(fixed, size, strict=True)):
        message = f"{name} was exported for images of {format_size(tuple(args[0].shape[1:]))}, not {format_size(size)}"
        raise UsageError(message, hint="leave out --input-size, or export with dynamic height and width")
    return (torch.randn(args[0].shape[0], *size, dtype=args[0].dtype),)


def _alike(samples: Any, expected: Any) -> bool:
    """Whether sample inputs are of the form that the program says it takes: a file may hold anything."""
    found, structure = pytree.tree_flatten(samples)
    wanted, wanted_structure = pytree.tree_flatten(expected)
    return structure == wanted_structure and all(map(_same_kind, found, wanted))


def _same_kind(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.shape == other.shape and one.dtype == other.dtype
    return type(one) is type(other) and bool(one == other)


def _image_size(args: tuple[Any, ...], kwargs: dict[str, Any]) -> ImageSize | None:
    match [leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]:
        case [images] if images.ndim == 4 and images.is_floating_point() and args:
            _, channels, height, width = images.shape
            return channels, height, width
        case _:
            return None
