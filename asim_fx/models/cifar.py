"""Networks for CIFAR as the ASiM paper takes them: torchvision's, with the stem and the pooling of small images.

Their weights have torchvision's names, so what ``asim-import checkpoint`` writes fits them. ResNets start with a 3x3
convolution of stride 1 and no pooling; VGGs pool twice instead of five times; ViTs are torchvision's, and take images
enlarged to 224x224. None comes with weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from asim_fx.errors import ModelError
from asim_fx.models.library import LibraryModel, ModelRequest, construct, import_library

CLASSES = 10

_STATISTICS: Mapping[int, tuple[tuple[float, ...], tuple[float, ...]]] = {
    10: ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    100: ((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)),
}
"""Mean and standard deviation of the training images of CIFAR-10 and of CIFAR-100, by number of classes."""

_RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
_VITS = ("vit_b_16", "vit_b_32", "vit_l_16", "vit_l_32", "vit_h_14")
_VGG_LAYERS: Mapping[str, tuple[str | int, ...]] = {
    "vgg11": (64, 128, "M", 256, 256, 512, 512, 512, 512, "M"),
    "vgg13": (64, 64, 128, 128, "M", 256, 256, 512, 512, 512, 512, "M"),
    "vgg16": (64, 64, 128, 128, "M", 256, 256, 256, 512, 512, 512, 512, 512, 512, "M"),
    "vgg19": (64, 64, 128, 128, "M", 256, 256, 256, 256, 512, 512, 512, 512, 512, 512, 512, 512, "M"),
}
"""Channels of each 3x3 convolution, and M for a 2x2 maximum pooling."""

_SUFFIX = "_cifar"
_VGGS = tuple(f"{name}{norm}" for name in _VGG_LAYERS for norm in ("", "_bn"))
CIFAR_MODELS = tuple(f"{name}{_SUFFIX}" for name in (*_RESNETS, *_VGGS, *_VITS))
"""Names, after ``asim:``."""


def build_cifar(request: ModelRequest) -> LibraryModel:
    """Build one of ``CIFAR_MODELS``, with random weights.

    Raises:
        ModelError: weights are asked for, of which there are none, or it cannot be built as asked.
    """
    if request.pretrained:
        msg = f"asim:{request.name} has no weights of its own"
        raise ModelError(msg, hint="give a --checkpoint; asim-import checkpoint makes one of ASiM's published weights")
    base = request.name.removesuffix(_SUFFIX)
    classes = CLASSES if request.num_classes is None else request.num_classes
    kwargs = {"num_classes": classes, **request.kwargs}
    if base in _VITS and request.input_size is not None:
        kwargs.setdefault("image_size", request.input_size[1])
    side = kwargs.get("image_size", 224) if base in _VITS else 32
    return LibraryModel(construct(request, lambda: _build(base, kwargs)), (3, side, side), _data_config(classes, side))


def _build(base: str, kwargs: Mapping[str, Any]) -> nn.Module:
    models = import_library("torchvision").models
    if base in _RESNETS:
        return _small_stem(models.get_model(base, weights=None, **kwargs))
    if base in _VITS:
        vit: nn.Module = models.get_model(base, weights=None, **kwargs)
        return vit
    layers = list(_VGG_LAYERS[base.removesuffix("_bn")])
    vgg: nn.Module = models.VGG(models.vgg.make_layers(layers, batch_norm=base.endswith("_bn")), **kwargs)
    return vgg


def _small_stem(model: nn.Module) -> nn.Module:
    model.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    nn.init.kaiming_normal_(model.conv1.weight, mode="fan_out", nonlinearity="relu")
    model.maxpool = nn.Identity()
    return model


def _data_config(classes: int, side: int) -> dict[str, Any]:
    mean, std = _STATISTICS.get(classes, _STATISTICS[CLASSES])
    return {
        "input_size": (3, side, side),
        "mean": mean,
        "std": std,
        "interpolation": "bilinear",
        "crop_pct": 1.0,
        "crop_mode": "squash",
    }
