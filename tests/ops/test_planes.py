from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from asim_fx.ir import input_plane_widths
from asim_fx.ops.config import Operand
from asim_fx.ops.planes import extract, partial_codes, partial_largest, partial_range, planes_of


@given(st.integers(2, 12), st.booleans(), st.integers(1, 12))
def test_planes_add_up_to_every_code(bits: int, signed: bool, encoding: int) -> None:
    operand = Operand(bits, signed)
    codes = torch.arange(-operand.levels if signed else 0, operand.levels + 1)
    planes = planes_of(operand, input_plane_widths(bits, signed=signed, encoding=encoding))
    parts = [extract(codes.int(), plane) for plane in planes]
    assert torch.equal(sum(plane.place * part for plane, part in zip(planes, parts, strict=True)).long(), codes)
    for plane, part in zip(planes, parts, strict=True):
        assert part.min() >= 0
        assert part.max() <= plane.largest


def test_a_sign_bit_is_a_plane_of_its_own() -> None:
    planes = planes_of(Operand(9, True), input_plane_widths(9, signed=True, encoding=3))
    assert [(plane.place, plane.largest) for plane in planes] == [(1, 7), (8, 7), (64, 3), (-256, 1)]


@given(st.sets(st.integers(0, 5)))
def test_partial_codes(chosen: set[int]) -> None:
    operand = Operand(6, True)
    planes = planes_of(operand, (1,) * 6)
    codes = torch.arange(-31, 32).float()
    expected = sum((planes[i].place * extract(codes.int(), planes[i]) for i in chosen), torch.zeros_like(codes))
    assert torch.equal(partial_codes(codes, planes, chosen), expected)
    assert expected.abs().max() <= partial_largest(planes, chosen)
    low, high = partial_range(planes, chosen)
    assert low <= expected.min()
    assert expected.max() <= high
