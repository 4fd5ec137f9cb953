"""The networks of the ASiM paper: torchvision's, for ImageNet and with the stem and the pooling of small images.

Their weights have torchvision's names, so what ``asim-import checkpoint`` writes fits them. For CIFAR, ResNets start
with a 3x3 convolution of stride 1 and no pooling; VGGs pool twice instead of five times; ViTs are torchvision's, and
take images enlarged to 224x224. ``resnet20_cifar`` and its deeper kin are He et al.'s own networks for CIFAR, for which
weights are public. None comes with weights. ``pact=True`` among the model's arguments bounds the activations of a
ResNet or VGG.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import nn

from asim_fx.errors import ModelError
from asim_fx.models.cifar import CifarResNet
from asim_fx.models.library import IMAGENET_CONFIG, LibraryModel, ModelRequest, construct, import_library
from asim_fx.models.pact import bound_rectifiers

CLASSES = 10
PUBLISHED_EPS = 1e-5
"""Of the layer norms of the published ViTs; torchvision's and timm's have 1e-6."""

_STATISTICS: Mapping[int, tuple[tuple[float, ...], tuple[float, ...]]] = {
    10: ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    100: ((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)),
}
"""Mean and standard deviation of the training images of CIFAR-10 and of CIFAR-100, by number of classes."""

_RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
_THIN_RESNETS: Mapping[str, int] = {f"resnet{depth}": depth for depth in (20, 32, 44, 56, 110)}
"""He et al.'s networks for CIFAR, and their depth. Public weights were trained with ImageNet's mean and deviation."""
_VITS = ("vit_b_16", "vit_b_32", "vit_l_16", "vit_l_32", "vit_h_14")
_VGG_LAYERS: Mapping[str, tuple[str | int, ...]] = {
    "vgg11": (64, 128, "M", 256, 256, 512, 512, 512, 512, "M"),
    "vgg13": (64, 64, 128, 128, "M", 256, 256, 512, 512, 512, 512, "M"),
    "vgg16": (64, 64, 128, 128, "M", 256, 256, 256, 512, 512, 512, 512, 512, 512, "M"),
    "vgg19": (64, 64, 128, 128, "M", 256, 256, 256, 256, 512, 512, 512, 512, 512, 512, 512, 512, "M"),
}
"""Channels of each 3x3 convolution, and M for a 2x2 maximum pooling."""

_CIFAR, _IMAGENET = "_cifar", "_imagenet"
_VGGS = tuple(f"{name}{norm}" for name in _VGG_LAYERS for norm in ("", "_bn"))
CIFAR_MODELS = tuple(f"{name}{_CIFAR}" for name in (*_RESNETS, *_THIN_RESNETS, *_VGGS, *_VITS))
PAPER_MODELS = (*CIFAR_MODELS, *(f"{name}{_IMAGENET}" for name in (*_RESNETS, *_VGGS, *_VITS)))
"""Names, after ``asim:``."""


def build_paper(request: ModelRequest) -> LibraryModel:
    """Build one of ``PAPER_MODELS``, with random weights.

    Raises:
        ModelError: weights are asked for, of which there are none, or it cannot be built as asked.
    """
    if request.pretrained:
        msg = f"asim:{request.name} has no weights of its own"
        raise ModelError(msg, hint="give a --checkpoint; asim-import checkpoint makes one of ASiM's published weights")
    small = request.name.endswith(_CIFAR)
    base = request.name.removesuffix(_CIFAR).removesuffix(_IMAGENET)
    classes = request.num_classes
    if classes is None:
        classes = CLASSES if small else 1000
    kwargs = {"num_classes": classes, **request.kwargs}
    if base in _VITS and request.input_size is not None:
        kwargs.setdefault("image_size", request.input_size[1])
    model = construct(request, lambda: _build(base, kwargs, small))
    side = 32 if small and base not in _VITS else kwargs.get("image_size", 224)
    statistics = classes if small and base not in _THIN_RESNETS else None
    return LibraryModel(model, (3, side, side), _data_config(statistics, side))


def _build(base: str, kwargs: Mapping[str, Any], small: bool) -> nn.Module:
    models = import_library("torchvision").models
    if base in _VITS:
        norm = partial(nn.LayerNorm, eps=PUBLISHED_EPS)
        vit: nn.Module = models.get_model(base, weights=None, **{"norm_layer": norm, **kwargs})
        return vit
    pact = kwargs.get("pact", False)
    if not isinstance(pact, bool):
        msg = f"pact is {pact!r}, and must be True or False"
        raise ModelError(msg, hint="for example --model-kwargs pact=True")
    others = {name: value for name, value in kwargs.items() if name != "pact"}
    model: nn.Module
    if base in _THIN_RESNETS:
        model = CifarResNet(_THIN_RESNETS[base], **others)
    elif base in _RESNETS or not small:
        model = models.get_model(base, weights=None, **others)
    else:
        layers = list(_VGG_LAYERS[base.removesuffix("_bn")])
        model = models.VGG(models.vgg.make_layers(layers, batch_norm=base.endswith("_bn")), **others)
    if base in _RESNETS and small:
        model = _small_stem(model)
    # The published VGGs leave the rectifier of their first convolution unbounded.
    stem = "" if not base.startswith("vgg") else "features.2" if base.endswith("_bn") else "features.1"
    return bound_rectifiers(model, but=(stem,)) if pact else model


def _small_stem(model: nn.Module) -> nn.Module:
    model.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    nn.init.kaiming_normal_(model.conv1.weight, mode="fan_out", nonlinearity="relu")
    model.maxpool = nn.Identity()
    return model


def _data_config(classes: int | None, side: int) -> dict[str, Any]:
    """Return how images are prepared: with the statistics of CIFAR of so many classes, or those of ImageNet."""
    mean, std = IMAGENET_CONFIG["mean"], IMAGENET_CONFIG["std"]
    if classes is not None:
        mean, std = _STATISTICS.get(classes, _STATISTICS[CLASSES])
    return {
        "input_size": (3, side, side),
        "mean": mean,
        "std": std,
        "interpolation": "bilinear",
        "crop_pct": 1.0,
        "crop_mode": "squash",
    }
