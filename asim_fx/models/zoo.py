"""Models by name: from timm, from torchvision, and those that ship inside."""

from __future__ import annotations

import difflib
import inspect
from importlib.resources import as_file, files
from typing import Any

from asim_fx.errors import ModelError
from asim_fx.models.checkpoints import load_checkpoint
from asim_fx.models.library import IMAGENET_CONFIG, ImageSize, LibraryModel, ModelRequest, construct, import_library
from asim_fx.models.paper import PAPER_MODELS, build_paper

DIGITS_MODELS = ("digits_resnet", "digits_vit")
"""What ships inside, with its weights."""

ASIM_MODELS = (*DIGITS_MODELS, *PAPER_MODELS)
"""What ships inside."""

_FRAMES = 16
"""Of a video clip: what torchvision's video models were trained on."""

TIMM_SCHEMES = ("hf-hub", "hf_hub", "local-dir")
"""Prefixes of a name that timm itself understands."""


def build_timm(request: ModelRequest) -> LibraryModel:
    """Build a model of timm.

    Raises:
        ModelError: timm has no such model or tag, or cannot build it as asked.
    """
    timm = import_library("timm")
    kwargs = {**_timm_shape(request), **request.kwargs}
    if request.num_classes is not None:
        kwargs["num_classes"] = request.num_classes
    model = construct(request, lambda: timm.create_model(request.name, pretrained=request.pretrained, **kwargs))
    asked = {} if request.input_size is None else {"input_size": request.input_size}
    data = timm.data.resolve_data_config(asked, model=model)
    return LibraryModel(model, _image_size(data["input_size"]), data)


def build_torchvision(request: ModelRequest) -> LibraryModel:
    """Build a model of torchvision.

    Raises:
        ModelError: torchvision has no such model, or cannot build it as asked.
    """
    models = import_library("torchvision").models
    name, kwargs = request.name.lower(), dict(request.kwargs)
    if name not in models.list_models():
        raise unknown_model(request.name, "torchvision")
    if request.num_classes is not None:
        kwargs["num_classes"] = request.num_classes
    if request.input_size is not None and name.startswith("vit_"):
        kwargs.setdefault("image_size", request.input_size[1])
    builder = models.get_model_builder(name)
    if request.pretrained:
        kwargs["weights"] = "DEFAULT"
    elif "weights_backbone" in inspect.signature(builder).parameters:
        kwargs.setdefault("weights_backbone", None)  # else torchvision downloads them
    model = construct(request, lambda: models.get_model(name, **kwargs))
    data = _torchvision_config(models.get_model_weights(name).DEFAULT.transforms())
    taken = getattr(model, "image_size", None)  # of a ViT, which its weights may not share
    if isinstance(taken, int) and taken != data["input_size"][1]:
        data["input_size"] = (3, taken, taken)
    size = _image_size(data["input_size"])
    match builder.__module__.split("."):
        case ["torchvision", "models", "video", *_]:
            return LibraryModel(model, size, {}, frames=_FRAMES)
        case ["torchvision", "models", "optical_flow", *_]:
            return LibraryModel(model, size, {}, inputs=2)
        case ["torchvision", "models", "detection", *_]:
            return LibraryModel(model, size, {}, listed=True)
        case _:
            return LibraryModel(model, size, data)


def build_asim(request: ModelRequest) -> LibraryModel:
    """Build a model that ships inside; one for the digits with its weights, unless a checkpoint is to follow.

    Raises:
        ModelError: there is no such model, or its weights do not fit what is asked.
    """
    if request.name not in ASIM_MODELS:
        raise unknown_model(request.name, "asim")
    if request.name in PAPER_MODELS:
        return build_paper(request)
    import_library("timm")
    from asim_fx.digits import CLASSES, data_config, models

    classes = CLASSES if request.num_classes is None else request.num_classes
    factory = getattr(models, request.name)
    model = construct(request, lambda: factory(num_classes=classes, **request.kwargs))
    if not request.has_checkpoint:
        if classes != CLASSES or request.kwargs:
            msg = f"the weights of asim:{request.name} fit its own shape and {CLASSES} classes only"
            raise ModelError(msg, hint="leave out --num-classes and --model-kwargs, or give a --checkpoint")
        with as_file(files("asim_fx.digits") / f"{request.name}.safetensors") as path:
            load_checkpoint(model, path)
    return LibraryModel(model, data_config()["input_size"], data_config())


def unknown_model(name: str, library: str) -> ModelError:
    """Return the error about a name that a library does not have, with the nearest names of all libraries."""
    timm, torchvision = import_library("timm"), import_library("torchvision")
    known = {
        "timm": {model: model for model in timm.list_models()},
        "torchvision": {model: f"torchvision:{model}" for model in torchvision.models.list_models()},
        "asim": {model: f"asim:{model}" for model in ASIM_MODELS},
    }
    elsewhere = [label for labels in known.values() for label in (labels.get(name),) if label]
    everything = {**known["torchvision"], **known["timm"], **known["asim"]}
    own = difflib.get_close_matches(name, known[library], n=4)
    near = [known[library][model] for model in own]
    near += [everything[model] for model in difflib.get_close_matches(name, everything, n=4)]
    nearest = list(dict.fromkeys(elsewhere + near))[:5]
    prefix = "" if library == "timm" else f"{library}:"
    hint = f"nearest: {', '.join(nearest)}" if nearest else ""
    return ModelError(f"unknown model '{prefix}{name}'", hint=hint)


def _timm_shape(request: ModelRequest) -> dict[str, Any]:
    """Return the arguments that make a timm model take images of the size asked for."""
    timm = import_library("timm")
    name = request.name
    if name.partition(":")[0] in TIMM_SCHEMES:
        return {}
    if not timm.is_model(name):
        raise unknown_model(name, "timm")
    try:
        config = timm.get_pretrained_cfg(name)
    except RuntimeError as error:
        architecture, _, tag = name.partition(".")
        tags = [known.partition(".")[2] for known in timm.list_pretrained(f"{architecture}.*")]
        msg = f"{architecture} has no weights with the tag {tag!r}"
        raise ModelError(msg, hint=f"it has: {', '.join(tags)}") from error
    if request.input_size is None:
        return {}
    channels, *size = request.input_size
    own = (3, 224, 224) if config is None else config.input_size
    kwargs: dict[str, Any] = {}
    if channels != own[0]:
        kwargs["in_chans"] = channels
    if config is not None and config.fixed_input_size and tuple(size) != tuple(own[1:]):
        kwargs["img_size"] = tuple(size)
    return kwargs


def _torchvision_config(preset: Any) -> dict[str, Any]:
    crop, resize = getattr(preset, "crop_size", None), getattr(preset, "resize_size", None)
    if not crop or not resize:  # detection, segmentation, optical flow: any size will do
        return dict(IMAGENET_CONFIG)
    return {
        "input_size": (3, crop[0], crop[-1]),
        "mean": tuple(preset.mean),
        "std": tuple(preset.std),
        "interpolation": preset.interpolation.value,
        "crop_pct": crop[0] / resize[0],
    }


def _image_size(size: Any) -> ImageSize:
    channels, height, width = size
    return channels, height, width
