"""With an ideal converter and no noise, every site of a real network equals fake-quantised torch at that site."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import asim_fx
from asim_fx.models import build_model
from asim_fx.nn import CimConv, CimLinear, CimMatmul, CimModule
from asim_fx.ops.config import Operand

TOLERANCE = 1e-5


@dataclass(frozen=True)
class Seen:
    name: str
    module: CimModule
    inputs: tuple[Tensor | None, ...]
    output: Tensor


def fake_quantise(tensor: Tensor, operand: Operand) -> Tensor:
    """Written out from the numerics, in float64 after the rounding: independent of the engine's own code."""
    if operand.signed:
        scale = tensor.abs().max() + 1e-7
        code = torch.round((tensor.abs() / scale).clamp(0, 1) * operand.levels) * tensor.sign()
    else:
        scale = tensor.max().clamp(min=0) + 1e-7
        code = torch.round((tensor / scale).clamp(0, 1) * operand.levels)
    return code.double() * scale.double() / operand.levels


def reference(seen: Seen) -> Tensor:
    module, config = seen.module, seen.module.config
    if isinstance(module, CimMatmul):
        first, second = seen.inputs
        a, b = (config.weight, config.input) if module.stored_first else (config.input, config.weight)
        return fake_quantise(first, a) @ fake_quantise(second, b)
    x, weight, bias = seen.inputs
    x, weight = fake_quantise(x, config.input), fake_quantise(weight, config.weight)
    bias = None if bias is None else bias.double()
    if isinstance(module, CimLinear):
        return F.linear(x, weight, bias)
    assert isinstance(module, CimConv)
    geometry = module.geometry
    padding = [size for pair in reversed(geometry.padding) for size in pair]
    convolve = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[len(geometry.kernel)]
    x = F.pad(x, padding)
    return convolve(x, weight, bias, geometry.stride, 0, geometry.dilation, module.groups)


def sites_of(converted: asim_fx.ConvertedModel, images: Tensor) -> Iterator[Seen]:
    seen: list[Seen] = []

    def record(name: str, module: CimModule):
        def hook(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            # Copies: what follows may work in place.
            copies = tuple(None if value is None else value.clone() for value in inputs[:-1])
            seen.append(Seen(name, module, copies, output.clone()))

        return hook

    for name, module in converted.sites().items():
        module.register_forward_hook(record(name, module))
    with torch.no_grad():
        converted(images)
    assert len(seen) == len(converted.sites()) > 0
    yield from seen


def check(model: str, size: int) -> None:
    built = build_model(model)
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    converted = asim_fx.convert(built.model, "ideal", images, source=built.source)
    for seen in sites_of(converted, images):
        expected = reference(seen)
        worst = float((seen.output.double() - expected).detach().abs().max())
        assert worst <= TOLERANCE * float(expected.detach().abs().max()), seen.name


@pytest.mark.parametrize(
    ("model", "size"),
    [
        ("resnet18", 224),
        ("vit_tiny_patch16_224", 224),  # patch convolution of 256 taps on 255 rows
        ("swin_tiny_patch4_window7_224", 224),
        ("convnext_atto", 224),
        ("tf_efficientnet_lite0", 224),
        ("torchvision:vit_b_32", 224),  # 1,024 taps
        ("torchvision:swin_t", 224),
        ("torchvision:resnet50", 224),
    ],
)
def test_every_site_equals_fake_quantised_torch(model: str, size: int) -> None:
    check(model, size)


@pytest.mark.parametrize(
    "model", ["resnet18", "vit_tiny_patch16_224", "convnext_atto", "tf_efficientnet_lite0", "torchvision:swin_t"]
)
def test_sixteen_bits_agree_with_the_float_model(model: str) -> None:
    """To 1 % of the largest logit. 16 x 16 bits over thousands of rows exceed what float32 can add exactly."""
    built = build_model(model)
    images = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    spec = asim_fx.load_spec("ideal", ["defaults.weight_bits=16", "defaults.input_bits=16"])
    converted = asim_fx.convert(built.model, spec, images, source=built.source)
    with torch.no_grad():
        expected, actual = built.model(images), converted(images)
    assert (actual - expected).abs().max() <= 0.01 * expected.abs().max()
