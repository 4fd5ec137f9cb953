from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from asim_fx.errors import NumericsError
from asim_fx.ir import BatchLayout
from asim_fx.ops.config import Operand
from asim_fx.ops.quantize import clipped, dequantize, quantize
from tests.ops.configs import codes_of


def quantized(value: torch.Tensor, operand: Operand, scale: float | None = None):
    given_scale = None if scale is None else torch.tensor(scale)
    return quantize(value, operand, site="stem", role="input", scale=given_scale)


@given(st.integers(2, 16), st.booleans(), st.integers(0, 2**16), st.floats(1e-6, 1e6))
def test_codes_are_those_of_the_formula(bits: int, signed: bool, seed: int, size: float) -> None:
    value = torch.randn(3, 5, generator=torch.Generator().manual_seed(seed)) * size
    operand = Operand(bits, signed)
    codes, step = codes_of(value, operand)
    result = quantized(value, operand)
    assert torch.equal(result.codes.long(), codes)
    assert float(result.scale) / operand.levels == pytest.approx(step)


def test_unsigned_clamps_negatives() -> None:
    result = quantized(torch.tensor([-5.0, 0.0, 1.0, 2.0]), Operand(4, False))
    assert result.codes.tolist() == [0, 0, 8, 15]  # 7.5 rounds to even


def test_zeros_and_nothing_have_a_scale() -> None:
    assert quantized(torch.zeros(3), Operand(8, True)).codes.tolist() == [0, 0, 0]
    assert quantized(torch.zeros(0, 4), Operand(8, False)).codes.shape == (0, 4)


def test_a_scale_for_each_sample_is_the_scale_of_the_sample_alone() -> None:
    value = torch.randn(4, 3, 6)  # (windows, batch, tokens): the samples lie on the middle axis
    operand = Operand(6, True, "sample", BatchLayout(stride=6, elements=24))
    together = quantized(value, operand)
    for sample in range(3):
        alone = quantized(value[:, sample], Operand(6, True))
        assert torch.equal(together.codes[:, sample], alone.codes)
        assert together.scale[sample] == alone.scale
        assert torch.equal(dequantize(together, operand)[:, sample], dequantize(alone, Operand(6, True)))


def test_static_scale_clips() -> None:
    operand = Operand(4, True, "static")
    value = torch.tensor([-3.0, -1.0, 0.5, 2.0])
    assert quantized(value, operand, 1.0).codes.tolist() == [-7, -7, 4, 7]
    outside = clipped(value, operand, torch.tensor(1.0))
    assert outside is not None
    assert outside.tolist() == [True, False, False, True]
    assert clipped(value, Operand(4, True), None) is None


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("scale", [None, 1.0])
def test_nan_and_infinity_name_the_site(bad: float, signed: bool, scale: float | None) -> None:
    operand = Operand(8, signed, "tensor" if scale is None else "static")
    with pytest.raises(NumericsError, match=r"stem.*input.*NaN or infinity"):
        quantized(torch.tensor([1.0, bad, 2.0]), operand, scale)


def test_the_largest_floats_are_finite() -> None:
    largest = torch.finfo(torch.float32).max
    assert quantized(torch.tensor([-largest, largest]), Operand(8, True)).codes.tolist() == [-127, 127]


@pytest.mark.parametrize("scale", [None, float("nan")])
def test_uncalibrated(scale: float | None) -> None:
    with pytest.raises(NumericsError, match="site stem has no calibrated scale"):
        quantized(torch.ones(2), Operand(8, True, "static"), scale)


def test_samples_must_be_known() -> None:
    with pytest.raises(NumericsError, match=r"stem.*could not be followed"):
        quantized(torch.ones(2), Operand(8, True, "sample"))


def test_memory_order_does_not_matter() -> None:
    value = torch.randn(2, 3, 4, 4)
    operand = Operand(8, True, "sample", BatchLayout(48, 48))
    shuffled = quantized(value.contiguous(memory_format=torch.channels_last), operand)
    assert torch.equal(shuffled.codes, quantized(value, operand).codes)
    assert shuffled.codes.is_contiguous()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("signed", [False, True])
def test_what_rounding_lifts_above_the_scale_is_not_clipped(dtype: torch.dtype, signed: bool) -> None:
    """Values that were clamped to the scale and rounded to their dtype, behind dropout and a mean as well."""
    bounds = torch.linspace(0.5, 7.0, 997)
    operand = Operand(8, signed, "static")
    for bound in bounds:
        value = torch.full((49,), float(bound)).to(dtype)
        dropped = F.dropout(value, 0.1, training=True)
        assert not clipped(value, operand, bound).any()
        assert not clipped(value.mean(), operand, bound).any()
        assert not clipped(dropped, operand, bound / 0.9).any()


def test_what_lies_beyond_the_scale_is_clipped() -> None:
    value = torch.tensor([-1.1, -0.1, 0.5, 1.0, 1.001])
    scale = torch.tensor(1.0)
    assert clipped(value, Operand(8, False, "static"), scale).tolist() == [True, True, False, False, True]
    assert clipped(value, Operand(8, True, "static"), scale).tolist() == [True, False, False, False, True]
    assert clipped(value, Operand(8, True, "tensor"), scale) is None
