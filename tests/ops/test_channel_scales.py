"""A weight scale for each output: only the last factor changes, on every engine and in the gradients."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from asim_fx.ir import BatchLayout, ConvGeometry
from asim_fx.nn import CimConv, CimConvTranspose, CimLinear
from asim_fx.ops.config import OpConfig
from asim_fx.ops.conv_transpose import inputs_first, outputs_first
from asim_fx.ops.quantize import dequantize, quantize
from tests.ops.configs import make_config

RNG = torch.tensor([1, 0, -1])


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def uneven(*shape: int) -> Tensor:
    """Return weights whose outputs differ in size by a factor of 100."""
    return draw(*shape) * torch.logspace(-2, 0, shape[0]).view(-1, *[1] * (len(shape) - 1))


def by_channel(**more: object) -> OpConfig:
    config = make_config(rows=36, signed=True, **more)  # type: ignore[arg-type]
    return replace(config, weight=replace(config.weight, scale="channel"))


def rounded(weight: Tensor, bits: int) -> Tensor:
    """Return each output's weights fake-quantised on its own, in float64."""
    top = 2 ** (bits - 1) - 1
    scale = weight.abs().flatten(1).amax(1) + 1e-7
    scale = scale.view(-1, *[1] * (weight.dim() - 1))
    return torch.round(weight.abs() / scale * top).double() * weight.sign() * scale / top


def test_a_linear_layer() -> None:
    config, x, weight = by_channel(), draw(5, 30), uneven(7, 30)
    y = CimLinear(config)(x, weight, None, RNG)
    xq = dequantize(quantize(x, config.input, site="s", role="input"), config.input).double()
    torch.testing.assert_close(y.double(), xq @ rounded(weight, config.weight.bits).T, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("groups", [1, 2])
def test_a_convolution_and_its_transpose(groups: int) -> None:
    config, x = by_channel(), draw(2, 4, 6, 5)
    xq = dequantize(quantize(x, config.input, site="s", role="input"), config.input).double()
    geometry = ConvGeometry((3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1))
    weight = uneven(6, 4 // groups, 3, 3)
    y = CimConv(config, geometry, groups)(x, weight, None, RNG)
    expected = F.conv2d(xq, rounded(weight, config.weight.bits), padding=1, groups=groups)
    torch.testing.assert_close(y.double(), expected, rtol=1e-5, atol=1e-5)
    transposed = ConvGeometry((3, 3), (2, 2), ((1, 1), (1, 1)), (1, 1), (0, 0))
    weight = inputs_first(uneven(6, 4 // groups, 3, 3), groups)
    y = CimConvTranspose(config, transposed, groups)(x, weight, None, RNG)
    stored = inputs_first(rounded(outputs_first(weight, groups), config.weight.bits), groups)
    expected = F.conv_transpose2d(xq, stored, stride=2, padding=1, groups=groups)
    torch.testing.assert_close(y.double(), expected, rtol=1e-5, atol=1e-5)


def test_it_is_closer_to_float_where_outputs_differ_in_size() -> None:
    config, x, weight = by_channel(), draw(50, 30), uneven(7, 30)
    float_result = F.linear(x, weight)

    def error(one: OpConfig) -> Tensor:
        off = CimLinear(one)(x, weight, None, RNG) - float_result
        return off.square().mean(0) / float_result.square().mean(0)

    per_tensor = replace(config, weight=replace(config.weight, scale="tensor"))
    assert float(error(per_tensor)[0] / error(config)[0]) > 10  # the smallest output


@pytest.mark.parametrize("scale", ["tensor", "sample"])
def test_engines_agree_to_the_bit(scale: str) -> None:
    config = by_channel(adc_bits=5, random_percent_fs=1.0, scale=scale, layout=BatchLayout(7, 7))
    config = replace(config, input=replace(config.input, layout=BatchLayout(30, 30)))
    x, weight = draw(5, 30), uneven(7, 30)
    module = CimLinear(config)
    module.set_engine("torch")
    expected = module(x, weight, None, RNG)
    module.set_engine("cpu")
    assert torch.equal(module(x, weight, None, RNG), expected)
    if scale == "sample":
        alone = module(x[2:3], weight, None, torch.tensor([1, 2, -1]))
        assert torch.equal(alone, expected[2:3])


def test_a_scale_that_all_outputs_share_is_that_of_the_tensor() -> None:
    config, x = by_channel(adc_bits=5), draw(5, 30)
    weight = draw(7, 30)
    weight[:, 0] = 9.0
    per_tensor = replace(config, weight=replace(config.weight, scale="tensor"))
    one, other = (CimLinear(c)(x, weight, None, RNG) for c in (config, per_tensor))
    torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)


def test_an_output_of_zeros_is_zero() -> None:
    weight = uneven(7, 30)
    weight[3] = 0
    assert not CimLinear(by_channel())(draw(5, 30), weight, None, RNG)[:, 3].any()


@pytest.mark.parametrize("groups", [1, 2])
def test_gradients_are_at_the_rounded_weights(groups: int) -> None:
    config, x = by_channel(), draw(2, 4, 6, 5).requires_grad_()
    geometry = ConvGeometry((3, 3), (2, 2), ((1, 1), (1, 1)), (1, 1), (0, 0))
    weight = inputs_first(uneven(6, 4 // groups, 3, 3), groups)
    CimConvTranspose(config, geometry, groups)(x, weight, None, RNG).sum().backward()
    stored = inputs_first(rounded(outputs_first(weight, groups), config.weight.bits), groups)
    other = x.detach().double().requires_grad_()
    F.conv_transpose2d(other, stored, stride=2, padding=1, groups=groups).sum().backward()
    torch.testing.assert_close(x.grad.double(), other.grad, rtol=1e-5, atol=1e-6)
