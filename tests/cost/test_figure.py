from __future__ import annotations

import pytest

from asim_fx.cost.figure import Band, Figure, total, unknown


def test_a_band_scales_both_ways():
    figure = Figure(10.0, "m", Band.within(2.5))
    assert (figure.low, figure.high) == (4.0, 25.0)
    assert figure.times(3).high == 75.0
    assert str(figure) == "m, x/÷2.5"


def test_an_uneven_band_is_written_in_full():
    assert str(Band(0.34, 20.0)) == "x0.34 to x20"


@pytest.mark.parametrize(("ratio", "inside"), [(0.4, True), (0.39, False), (2.5, True), (2.51, False)])
def test_what_lies_in_a_band(ratio: float, inside: bool):
    assert Band.within(2.5).contains(ratio) is inside


def test_unknown_is_not_nothing():
    figure = unknown("needs a node")
    assert (figure.value, figure.low, figure.high, figure.times(7).value) == (None, None, None, None)
    assert str(figure) == "unknown: needs a node"
    assert total([1.0, None]) is None
    assert total([]) == 0
