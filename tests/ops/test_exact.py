from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from asim_fx.ops.exact import byte_matmul, can_convolve, convolve, has_byte_products, integer_matmul


@pytest.mark.parametrize("bits", [1, 4, 8, 12, 16, 26])
@pytest.mark.parametrize("length", [7, 2000])
def test_equals_integer_arithmetic(bits: int, length: int) -> None:
    generator = torch.Generator().manual_seed(bits)
    top = 2 ** min(bits, 24) - 1  # what float32 operands can hold
    left = torch.randint(top - 5 if top > 5 else 0, top + 1, (2, 3, length), generator=generator)
    right = torch.randint(top - 5 if top > 5 else -1, top + 1, (2, length, 4), generator=generator)
    result = integer_matmul(left.float(), right.float(), top * top)
    exact = (left[..., None] * right[:, None]).sum(2)
    assert torch.equal(result.double(), exact.double())


@pytest.mark.parametrize("precision", ["high", "medium"])
def test_reduced_precision_of_the_user_costs_no_bits(precision: str) -> None:
    left = torch.randint(0, 2**12, (1, 5, 100)).float()
    right = torch.randint(0, 2**12, (1, 100, 6)).float()
    before = torch.get_float32_matmul_precision()
    expected = (left.long()[..., None] * right.long()[:, None]).sum(2).double()
    torch.set_float32_matmul_precision(precision)
    try:
        result = integer_matmul(left, right, 2**24)
    finally:
        torch.set_float32_matmul_precision(before)
    assert result.dtype == torch.float64
    assert torch.equal(result, expected)


def laid_out(rows: int, columns: int, layout: str) -> torch.Tensor:
    """Return random int8 (1, rows, columns) that lies in memory as it is, transposed, or as a part of more."""
    generator = torch.Generator().manual_seed(rows + 10 * columns)
    shape = {"own": (1, rows, columns), "transposed": (1, columns, rows), "part": (1, rows, columns + 3)}[layout]
    drawn = torch.randint(-128, 128, shape, generator=generator).to(torch.int8)
    return drawn.mT if layout == "transposed" else drawn[..., :columns]


@pytest.mark.skipif(not has_byte_products(torch.device("cpu")), reason="no products of bytes on this processor")
@pytest.mark.parametrize("left", ["own", "transposed", "part"])
@pytest.mark.parametrize("right", ["own", "transposed", "part"])
def test_products_of_bytes_in_every_layout(left: str, right: str) -> None:
    """A dimension of size one may have any stride, which torch's own product of bytes takes at its word."""
    for rows, length, columns in itertools.product((1, 2, 17), (1, 2, 65), (1, 2, 9)):
        one, other = laid_out(rows, length, left), laid_out(length, columns, right)
        assert torch.equal(byte_matmul(one, other).long(), one.long() @ other.long()), (rows, length, columns)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 3), st.integers(1, 4), st.integers(1, 2), st.integers(1, 2), st.sampled_from([1, 2, 6]), st.data()
)
def test_convolutions_round_nothing_up_to_24_bits(
    dims: int, kernel: int, stride: int, dilation: int, groups: int, data: st.DataObject
) -> None:
    channels, outputs = groups * data.draw(st.integers(1, 3)), groups * data.draw(st.integers(1, 18))
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 99)))
    top = (2**24 - 1) // (channels // groups * kernel**dims)
    source = torch.randint(top // 16 * 15, top + 1, (2, channels, *[9 + kernel] * dims), generator=generator).float()
    weight = torch.randint(-1, 2, (outputs, channels // groups, *[kernel] * dims), generator=generator).float()
    weight[0] = 1
    result = convolve(source, weight, [stride] * dims, [dilation] * dims, groups)
    convolution = (F.conv1d, F.conv2d, F.conv3d)[dims - 1]
    exact = convolution(source.double(), weight.double(), None, stride, 0, dilation, groups)
    assert torch.equal(result.double(), exact.round())


def test_convolutions_are_left_to_matrix_products_where_they_would_round(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    assert can_convolve(cpu, 2**24 - 1)
    assert not can_convolve(cpu, 2**24)
    torch.backends.mkldnn.fp32_precision = "bf16"  # type: ignore[attr-defined]
    try:
        assert not can_convolve(cpu, 1)
    finally:
        torch.backends.mkldnn.fp32_precision = "none"  # type: ignore[attr-defined]
    monkeypatch.setenv("ONEDNN_DEFAULT_FPMATH_MODE", "BF16")
    assert not can_convolve(cpu, 1)
