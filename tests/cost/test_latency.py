from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asim_fx.cost.latency import read_steps
from asim_fx.ir import BitPlan

WIDTHS = (1, 1, 1)


@pytest.mark.parametrize(
    ("reads", "columns", "steps"),
    [
        (((1, 1), (1, 1)), 1, 2),
        (((1, 1), (1, 5)), 1, 1 + 5),
        (((0, 0), (0, 0)), 1, 2),  # digital cycles take a read's time too
        (((0, 0), (0, 1)), 2, 1 + 1),
        (((1, 1), (3, 1)), 2, 4 + 2),
        (((1, 1), (3, 1)), 3, 4 + 3 + 2 + 1),  # columns 1, 0 and 1 again are the busiest neighbours
    ],
)
def test_steps_by_hand(reads, columns: int, steps: int):
    assert read_steps(BitPlan(reads, (1, 1)), columns) == steps


def brute_force(bits: BitPlan, columns: int) -> int:
    """Lay the planes of many outputs side by side, and look at every converter."""
    total = 0
    for plane in zip(*bits.reads, strict=True):
        line = [*plane] * (columns + 1)
        total += max(1, max(sum(line[start : start + columns]) for start in range(len(plane))))
    return total


@given(st.lists(st.tuples(*[st.integers(0, 4)] * 3), min_size=1, max_size=9), st.integers(1, 30))
def test_steps_are_those_of_the_busiest_converter(reads, columns: int):
    bits = BitPlan(tuple(reads), WIDTHS)
    assert read_steps(bits, columns) == brute_force(bits, columns)
