"""The BitPlan: a table of reads that two passes edit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from asim_fx.ir import ANALOG, DIGITAL, BitPlan, input_plane_widths

plans = st.builds(
    BitPlan.analog,
    st.integers(1, 8),
    st.builds(
        lambda bits, signed, encoding: input_plane_widths(bits, signed=signed, encoding=encoding),
        st.integers(2, 9),
        st.booleans(),
        st.integers(1, 5),
    ),
)


@given(bits=st.integers(2, 16), signed=st.booleans(), encoding=st.integers(1, 16))
def test_the_planes_hold_every_bit_once(bits: int, signed: bool, encoding: int) -> None:
    widths = input_plane_widths(bits, signed=signed, encoding=encoding)
    assert sum(widths) == bits
    assert all(1 <= width <= encoding for width in widths)
    magnitude = widths[:-1] if signed else widths
    assert all(width == encoding for width in magnitude[:-1])
    if signed:
        assert widths[-1] == 1


def test_grouping_starts_at_the_lsb() -> None:
    assert input_plane_widths(9, signed=True, encoding=3) == (3, 3, 2, 1)
    assert input_plane_widths(8, signed=False, encoding=3) == (3, 3, 2)


@given(plan=plans, levels=st.integers(0, 20))
def test_digital_levels_are_a_triangle(plan: BitPlan, levels: int) -> None:
    digital = plan.with_digital(levels).digital_cells
    if levels <= min(plan.weight_planes, plan.input_planes):
        assert digital == levels * (levels + 1) // 2
    if levels >= plan.weight_planes + plan.input_planes - 1:
        assert digital == plan.weight_planes * plan.input_planes


@given(plan=plans, hybrid=st.integers(0, 12), vote=st.integers(0, 12), samples=st.integers(2, 7))
def test_digital_wins_over_voted(plan: BitPlan, hybrid: int, vote: int, samples: int) -> None:
    both = plan.with_digital(hybrid).with_votes(vote, samples, "median")
    for i, j, reads in both.cells():
        level = both.level(i, j)
        expected = DIGITAL if level < hybrid else samples if level < vote else ANALOG
        assert reads == expected
    assert both.digital_cells + both.voted_cells + both.analog_cells == plan.weight_planes * plan.input_planes
    assert both.total_reads == both.analog_cells + samples * both.voted_cells


@given(plan=plans, hybrid=st.integers(0, 12), vote=st.integers(0, 12), samples=st.integers(2, 7))
def test_the_two_edits_commute(plan: BitPlan, hybrid: int, vote: int, samples: int) -> None:
    one = plan.with_digital(hybrid).with_votes(vote, samples, "mode")
    other = plan.with_votes(vote, samples, "mode").with_digital(hybrid)
    assert one == other
