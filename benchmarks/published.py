"""The published simulator's layers, from a checkout of Keio-CSG/ASiM whose path the user gives."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn


@dataclass(frozen=True)
class Hardware:
    """What both simulators simulate.

    Attributes:
        bits: of weights and of activations.
        rows: that add up in one read.
        adc_bits: of the converter.
        percent: standard deviation of the random and of the nonlinear noise, in percent of full scale.
    """

    bits: int
    rows: int = 255
    adc_bits: int = 8
    percent: float = 0.05

    @property
    def arguments(self) -> dict[str, Any]:
        """The same under the names that the published layers take."""
        return {
            "wbit": self.bits,
            "xbit": self.bits,
            "adc_prec": self.adc_bits,
            "nrow": self.rows,
            "rand_noise_sigma": self.percent,
            "non_linear_sigma": self.percent,
            "mode": "Simulation",
        }


@dataclass(frozen=True)
class PublishedLayers:
    """Its layer classes, which take torch's arguments and those of ``Hardware``."""

    conv: type[nn.Module]
    linear: type[nn.Module]
    digital_conv: type[nn.Module]


def published_layers(checkout: Path) -> PublishedLayers:
    if str(checkout) not in sys.path:
        sys.path.insert(0, str(checkout))
    return PublishedLayers(
        importlib.import_module("module.asim_conv").ASiMConv2d,
        importlib.import_module("module.asim_linear").ASiMLinear,
        importlib.import_module("module.basic_module").QuantConv2d,
    )


def with_published_layers(
    model: nn.Module, hardware: Hardware, checkout: Path, *, digital_stem: bool = False
) -> nn.Module:
    """Put the published layers in the place of a ResNet's convolutions and linear layers; weights are drawn anew.

    Args:
        model: changed in place.
        hardware: of all layers.
        checkout: of the published simulator.
        digital_stem: the first convolution is its digital one, at 8 bits.
    """
    layers = published_layers(checkout)
    for name, layer in list(model.named_modules()):
        parent, _, leaf = name.rpartition(".")
        own = hardware.arguments | {"bias": getattr(layer, "bias", None) is not None, "signed_act": name == "conv1"}
        if isinstance(layer, nn.Conv2d):
            sizes = layer.in_channels, layer.out_channels, layer.kernel_size[0]
            shape = {"stride": layer.stride[0], "padding": layer.padding[0]}
            if digital_stem and name == "conv1":
                stem = {"wbit": 8, "xbit": 8, "bias": own["bias"], "signed_act": True, "mode": "Inference"}
                other = layers.digital_conv(*sizes, **shape, **stem)
            else:
                other = layers.conv(*sizes, **shape, **own)
        elif isinstance(layer, nn.Linear):
            other = layers.linear(layer.in_features, layer.out_features, **own)
        else:
            continue
        setattr(model.get_submodule(parent), leaf, other)
    return model
