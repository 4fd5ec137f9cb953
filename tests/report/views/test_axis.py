from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from asim_fx.report.views.axis import ticks


def test_round_figures():
    assert ticks(12.2e-3) == [0.0, 0.005, 0.01]
    assert ticks(5.0) == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    assert ticks(0.0) == [0.0]


@example(0.4375, 2)
@given(st.floats(1e-15, 1e6), st.integers(2, 10))
def test_they_fill_the_axis_and_stay_on_it(end, most):
    places = ticks(end, most)
    assert places[0] == 0.0
    assert 2 <= len(places) <= most + 1
    assert places[-1] <= end * (1 + 1e-6)
    assert end - places[-1] < places[1]
