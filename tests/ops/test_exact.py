from __future__ import annotations

import pytest
import torch

from asim_fx.ops.exact import integer_matmul


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
