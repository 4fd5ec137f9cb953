"""Models that a user's own Python code makes: ``pkg.module:factory``."""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from asim_fx.errors import ModelError
from asim_fx.models.library import IMAGENET_CONFIG, ImageSize, LibraryModel, ModelRequest, construct, import_library


def build_python(request: ModelRequest) -> LibraryModel:
    """Import the module that the user named and call the factory in it, or take the model found there.

    ``num_classes`` is passed on only where it was given. The working directory is searched first, as ``python
    -m`` does.

    Raises:
        ModelError: the module or the factory is missing or fails, or the result is no ``nn.Module``.
    """
    if request.pretrained:
        msg = f"--pretrained is for timm and torchvision; {request.name} decides about its own weights"
        raise ModelError(msg, hint="give a --checkpoint, or an argument by --model-kwargs")
    kwargs = dict(request.kwargs)
    if request.num_classes is not None:
        kwargs["num_classes"] = request.num_classes
    with _working_directory_importable():
        found = _find(request.name)
        if not isinstance(found, nn.Module):
            found = construct(request, lambda: found(**kwargs))
    if not isinstance(found, nn.Module):
        msg = f"{request.name} returned a {type(found).__name__}, not a torch.nn.Module"
        raise ModelError(msg)
    data = _data_config(found, request.input_size)
    return LibraryModel(found, data["input_size"], data)


def _find(name: str) -> Any:
    module_name, _, attribute = name.partition(":")
    found: Any = _import(module_name, name)
    for part in attribute.split("."):
        if not hasattr(found, part):
            nearest = difflib.get_close_matches(part, dir(found), n=3)
            msg = f"{module_name} has no {attribute!r}"
            raise ModelError(msg, hint=f"nearest: {', '.join(nearest)}" if nearest else "")
        found = getattr(found, part)
    if not callable(found):  # a module is callable too
        msg = f"{name} is a {type(found).__name__}, not something that makes a model"
        raise ModelError(msg)
    return found


def _import(module_name: str, whole: str) -> ModuleType:
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and not f"{module_name}.".startswith(f"{error.name}."):
            msg = f"{module_name} cannot be imported: it needs {error.name}, which is not installed"
            raise ModelError(msg) from error
        msg = f"unknown model {whole!r}: there is no Python module {module_name!r}"
        hint = "MODEL is a timm name, torchvision:NAME, asim:NAME pkg.module:factory or FILE.pt2"
        raise ModelError(msg, hint=hint) from error
    except Exception as error:  # whatever the user's module does when imported
        msg = f"{module_name} cannot be imported: {type(error).__name__}: {error}"
        raise ModelError(msg) from error


@contextmanager
def _working_directory_importable() -> Iterator[None]:
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)


def _data_config(model: nn.Module, asked: ImageSize | None) -> dict[str, Any]:
    own = getattr(model, "pretrained_cfg", None) or getattr(model, "default_cfg", None)
    if isinstance(own, Mapping):
        data = dict(import_library("timm").data.resolve_data_config({}, pretrained_cfg=dict(own)))
    else:
        data = dict(IMAGENET_CONFIG)
    data["input_size"] = tuple(asked or data["input_size"])
    return data
