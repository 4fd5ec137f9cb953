"""A transposed convolution against torch's own at fake-quantised operands, and against plain loops over its tiles."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from asim_fx.ir import BatchLayout, ConvGeometry, row_step
from asim_fx.ops.conv_transpose import simulate_conv_transpose
from asim_fx.ops.draws import Seed
from tests.ops.configs import codes_of, fake_quantized, make_config, reference_sums

CONVOLVE = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


@st.composite
def geometries(draw: st.DrawFn) -> ConvGeometry:
    dims = draw(st.integers(1, 3))
    kernel, stride, dilation, padding, added = [], [], [], [], []
    for _ in range(dims):
        kernel.append(draw(st.integers(1, 4)))
        stride.append(draw(st.integers(1, 5)))
        dilation.append(draw(st.integers(1, 3)))
        padding.append(draw(st.integers(0, dilation[-1] * (kernel[-1] - 1) // 2)))
        added.append(draw(st.integers(0, max(stride[-1], dilation[-1]) - 1)))
    pairs = tuple((amount, amount) for amount in padding)
    return ConvGeometry(tuple(kernel), tuple(stride), pairs, tuple(dilation), tuple(added))


def float_result(x, weight, geometry: ConvGeometry, groups: int):
    padding = [before for before, _ in geometry.padding]
    convolve = CONVOLVE[len(geometry.kernel)]
    return convolve(x, weight, None, geometry.stride, padding, geometry.output_padding, groups, geometry.dilation)


@settings(max_examples=60, deadline=None)
@given(geometry=geometries(), groups=st.integers(1, 2), batch=st.integers(1, 3), seed=st.integers(0, 1000))
def test_an_ideal_converter_gives_fake_quantised_torch(
    geometry: ConvGeometry, groups: int, batch: int, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, 3 * groups, *[3] * len(geometry.kernel), generator=generator)
    weight = torch.randn(3 * groups, 2, *geometry.kernel, generator=generator)
    config = make_config(rows=7, signed=True)
    actual = simulate_conv_transpose(x, weight, config, Seed(0), geometry=geometry, groups=groups)
    expected = float_result(fake_quantized(x, config.input), fake_quantized(weight, config.weight), geometry, groups)
    assert actual.shape == expected.shape
    assert float((actual - expected).abs().max()) <= 1e-5 * float(expected.abs().max())


def test_each_phase_is_read_in_tiles_of_its_own_taps() -> None:
    """A lossy converter, written out for 5 taps with stride 2 along one dimension: phases of taps 0, 2, 4 and 1, 3."""
    generator = torch.Generator().manual_seed(1)
    x, weight = torch.rand(2, 4, 6, generator=generator), torch.randn(4, 3, 5, generator=generator)
    geometry = ConvGeometry((5,), (2,), ((0, 0),), (1,), (1,))
    config = make_config(rows=7, adc_bits=3)
    actual = simulate_conv_transpose(x, weight, config, Seed(0), geometry=geometry, groups=1)
    (xq, x_step), (wq, w_step) = codes_of(x, config.input), codes_of(weight, config.weight)
    expected = torch.zeros(2, 3, 16, dtype=torch.float64)
    for output in range(16):
        taps = [tap for tap in range(5) if (output - tap) % 2 == 0][::-1]
        positions = [(output - tap) // 2 for tap in taps]
        patch = torch.stack([xq[:, :, i] if 0 <= i < 6 else torch.zeros_like(xq[:, :, 0]) for i in positions], -1)
        step = row_step(len(taps), 7)
        tiled = make_config(rows=7, adc_bits=3, step=step)
        matrix = wq[:, :, taps].permute(1, 0, 2).reshape(3, -1)
        expected[:, :, output] = reference_sums(patch.reshape(2, -1), matrix, tiled) * x_step * w_step
    assert float((actual - expected).abs().max()) <= 1e-5 * float(expected.abs().max())


def test_noise_is_drawn_for_each_sample_and_phase_apart() -> None:
    x, weight = torch.zeros(3, 2, 4, 4), torch.ones(2, 2, 2, 2)
    geometry = ConvGeometry((2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1), (0, 0))
    layout = BatchLayout(2 * 64, 2 * 64)
    config = make_config(rows=7, adc_bits=6, random_percent_fs=5.0, layout=layout)
    whole = simulate_conv_transpose(x, weight, config, Seed(3), geometry=geometry, groups=1)
    for sample in range(3):
        alone = simulate_conv_transpose(
            x[sample : sample + 1], weight, config, Seed(3, first_sample=sample), geometry=geometry, groups=1
        )
        assert torch.equal(alone[0], whole[sample])
    assert not torch.equal(whole[..., ::2, ::2], whole[..., 1::2, ::2])
    assert not torch.equal(whole[0], whole[1])


@pytest.mark.parametrize("stride", [1, 3])
def test_gradients_are_torchs_own_at_the_rounded_operands(stride: int) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 4, 5, generator=generator, requires_grad=True)
    weight = torch.randn(4, 3, 3, generator=generator, requires_grad=True)
    config = make_config(rows=7, signed=True)
    rng = torch.tensor([0, 0])
    y = torch.ops.asim.conv_transpose(x, weight, rng, None, config.dumps(), [stride], [1], [1], [0], 1)
    gradient = torch.randn(y.shape, generator=generator)
    actual = torch.autograd.grad(y, [x, weight], gradient)
    xq, wq = (fake_quantized(value, operand).requires_grad_() for value, operand in
              ((x, config.input), (weight, config.weight)))  # fmt: skip
    expected = torch.autograd.grad(F.conv_transpose1d(xq, wq, None, stride, 1), [xq, wq], gradient.double())
    for one, other in zip(actual, expected, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-4, atol=1e-5)


def test_the_registered_op_is_sound() -> None:
    x, weight = torch.randn(2, 4, 5, 4, requires_grad=True), torch.randn(4, 3, 3, 2, requires_grad=True)
    config = make_config(rows=7, signed=True).dumps()
    args = (x, weight, torch.tensor([0, 0]), None, config, [2, 3], [1, 0], [1, 1], [1, 0], 1)
    torch.library.opcheck(torch.ops.asim.conv_transpose.default, args)
