"""Whole operations against fake-quantised torch: with an ideal read they are the same thing."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from asim_fx.errors import NumericsError, UsageError
from asim_fx.ir import BatchLayout
from asim_fx.ops.config import Operand
from asim_fx.ops.draws import Seed
from asim_fx.ops.operation import simulate_conv, simulate_linear, simulate_matmul
from tests.ops.configs import fake_quantized, make_config

CONVS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


def assert_close(result: Tensor, expected: Tensor) -> None:
    assert result.shape == expected.shape
    assert (result.double() - expected).abs().max() <= 1e-5 * expected.abs().max()


def check_conv(
    x: Tensor, w: Tensor, stride: list, padding: list, dilation: list, groups: int, **config: object
) -> None:
    spec = make_config(rows=64, input_bits=8, weight_bits=8, signed=True, **config)  # type: ignore[arg-type]
    result = simulate_conv(x, w, spec, Seed(0), stride=stride, padding=padding, dilation=dilation, groups=groups)
    xq, wq = fake_quantized(x, spec.input), fake_quantized(w, spec.weight)
    pairs = [padding[i : i + 2] for i in range(0, len(padding), 2)]
    padded = F.pad(xq, [side for pair in reversed(pairs) for side in pair])
    assert_close(result, CONVS[len(stride)](padded, wq, None, stride, 0, dilation, groups))


@pytest.mark.parametrize(
    ("x", "w", "stride", "padding", "dilation", "groups"),
    [
        ((2, 6, 9, 9), (4, 6, 3, 3), [1, 1], [1, 1, 1, 1], [1, 1], 1),
        ((2, 8, 9, 9), (8, 1, 3, 3), [2, 2], [1, 1, 1, 1], [1, 1], 8),  # depthwise
        ((2, 8, 7, 7), (16, 1, 3, 3), [1, 1], [1, 1, 1, 1], [1, 1], 8),  # depthwise with a multiplier
        ((3, 6, 8, 9), (9, 2, 3, 3), [1, 1], [0, 1, 2, 0], [1, 1], 3),  # grouped, asymmetric padding
        ((1, 4, 12, 12), (3, 4, 3, 3), [1, 2], [2, 2, 2, 2], [2, 3], 1),  # dilated
        ((2, 3, 8, 10), (5, 3, 1, 5), [1, 1], [0, 0, 2, 2], [1, 1], 1),  # rectangular
        ((2, 3, 32, 32), (7, 3, 16, 16), [16, 16], [0] * 4, [1, 1], 1),  # patches longer than the rows
        ((2, 5, 11), (4, 5, 3), [2], [2, 0], [1], 1),
        ((2, 3, 5, 6, 4), (4, 3, 2, 3, 2), [1, 2, 1], [0, 1, 1, 1, 0, 0], [1, 1, 1], 1),
        ((0, 3, 5, 5), (4, 3, 3, 3), [1, 1], [0] * 4, [1, 1], 1),
    ],
)
def test_conv(x: tuple, w: tuple, stride: list, padding: list, dilation: list, groups: int) -> None:
    if x[0] == 0:
        result = simulate_conv(
            torch.zeros(x),
            torch.ones(w),
            make_config(),
            Seed(0),
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=1,
        )
        assert result.shape == (0, 4, 3, 3)
        return
    generator = torch.Generator().manual_seed(0)
    check_conv(
        torch.randn(x, generator=generator), torch.randn(w, generator=generator), stride, padding, dilation, groups
    )


@settings(max_examples=60)
@given(st.data())
def test_any_conv(data: st.DataObject) -> None:
    dims = data.draw(st.integers(1, 3))
    groups = data.draw(st.integers(1, 3))

    def each(low: int, high: int, count: int = dims) -> list[int]:
        return data.draw(st.lists(st.integers(low, high), min_size=count, max_size=count))

    kernel, stride, dilation, padding = each(1, 3), each(1, 3), each(1, 2), each(0, 2, 2 * dims)
    spatial = [(k - 1) * d + extra for k, d, extra in zip(kernel, dilation, each(1, 4), strict=True)]
    channels, outputs = groups * data.draw(st.integers(1, 3)), groups * data.draw(st.integers(1, 3))
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 99)))
    x = torch.randn(2, channels, *spatial, generator=generator)
    w = torch.randn(outputs, channels // groups, *kernel, generator=generator)
    check_conv(x, w, stride, padding, dilation, groups)


@pytest.mark.parametrize("leading", [(), (3,), (2, 3), (2, 0, 3), (2, 1, 2, 2)])
def test_linear(leading: tuple[int, ...]) -> None:
    x, w = torch.randn(*leading, 70), torch.randn(9, 70)
    config = make_config(input_bits=8, weight_bits=7, signed=True)
    result = simulate_linear(x, w, config, Seed(0))
    assert result.shape == (*leading, 9)
    if x.numel():
        assert_close(result, fake_quantized(x, config.input) @ fake_quantized(w, config.weight).T)


@pytest.mark.parametrize("stored_first", [True, False])
@pytest.mark.parametrize(
    ("first", "second"),
    [((5, 33), (33, 4)), ((2, 3, 5, 33), (2, 3, 33, 4)), ((2, 1, 5, 33), (3, 33, 4)), ((33, 33), (2, 33, 4))],
)
def test_matmul_broadcasts_as_torch_does(first: tuple, second: tuple, stored_first: bool) -> None:
    a, b = torch.randn(first), torch.randn(second)
    config = make_config(input_bits=9, weight_bits=7, signed=True, encoding=3)
    result = simulate_matmul(a, b, config, Seed(0), stored_first=stored_first)
    one, other = (config.weight, config.input) if stored_first else (config.input, config.weight)
    assert_close(result, fake_quantized(a, one) @ fake_quantized(b, other))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_dtypes_are_computed_in_float32(dtype: torch.dtype) -> None:
    x, w = torch.randn(4, 30).to(dtype), torch.randn(5, 30).to(dtype)
    config = make_config(signed=True)
    result = simulate_linear(x, w, config, Seed(0))
    assert result.dtype == dtype
    assert torch.equal(result, simulate_linear(x.float(), w.float(), config, Seed(0)).to(dtype))


def test_a_scale_for_each_sample_makes_samples_independent() -> None:
    x, w = torch.randn(3, 6, 8, 8) * torch.tensor([1.0, 10.0, 0.1]).view(3, 1, 1, 1), torch.randn(4, 6, 3, 3)
    geometry = {"stride": [1, 1], "padding": [1] * 4, "dilation": [1, 1], "groups": 1}
    effects = {"rows": 54, "signed": True, "adc_bits": 5, "random_percent_fs": 1.0, "layout": BatchLayout(256, 256)}
    config = make_config(scale="sample", input_layout=BatchLayout(384, 384), **effects)  # type: ignore[arg-type]
    together = simulate_conv(x, w, config, Seed(0), **geometry)  # type: ignore[arg-type]
    for sample in range(3):
        alone = make_config(**effects)  # type: ignore[arg-type]
        one = simulate_conv(x[sample : sample + 1], w, alone, Seed(0, sample), **geometry)  # type: ignore[arg-type]
        assert torch.equal(together[sample : sample + 1], one)


def test_attention_with_a_scale_for_each_sample() -> None:
    """Both operands of a matmul have samples, here with the windows of one sample apart from each other."""
    a, b = torch.randn(4, 3, 5, 16), torch.randn(4, 3, 16, 7)  # (windows, batch, ...)
    b[:, 1] *= 30
    base = make_config(rows=16, signed=True, input_bits=6, scale="sample", input_layout=BatchLayout(80, 320))
    weight = Operand(4, True, "sample", BatchLayout(112, 448))
    config = type(base)(
        **{**{f: getattr(base, f) for f in base.__slots__}, "weight": weight, "layout": BatchLayout(35, 140)}
    )
    together = simulate_matmul(a, b, config, Seed(0), stored_first=False)
    plain = make_config(rows=16, signed=True, input_bits=6)
    for sample in range(3):
        alone = simulate_matmul(a[:, sample], b[:, sample], plain, Seed(0), stored_first=False)
        assert torch.equal(together[:, sample], alone)


def test_sixteen_bits_do_not_overflow() -> None:
    x, w = torch.rand(2, 4096) + 0.5, torch.rand(3, 4096) + 0.5
    config = make_config(rows=255, input_bits=16, weight_bits=16)
    assert_close(
        simulate_linear(x, w, config, Seed(0)), fake_quantized(x, config.input) @ fake_quantized(w, config.weight).T
    )


def test_errors_are_for_the_user() -> None:
    config = make_config(site="layer1.conv")
    with pytest.raises(NumericsError, match=r"layer1.conv.*weight.*NaN"):
        simulate_linear(torch.ones(1, 3), torch.full((2, 3), float("nan")), config, Seed(0))
    with pytest.raises(UsageError, match="3x3 does not fit"):
        simulate_conv(
            torch.ones(1, 1, 2, 2),
            torch.ones(1, 1, 3, 3),
            config,
            Seed(0),
            stride=[1, 1],
            padding=[0] * 4,
            dilation=[1, 1],
            groups=1,
        )
    sample = make_config(scale="sample", input_layout=BatchLayout(3, 3))
    with pytest.raises(NumericsError, match="samples of the result"):
        simulate_linear(torch.ones(2, 3), torch.ones(2, 3), sample, Seed(0))
