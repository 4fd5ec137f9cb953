from __future__ import annotations

from dataclasses import replace

from asim_fx.exploration.axes import Axis, grid, parse_axes
from asim_fx.exploration.cells import OBJECTIVES, CellResult
from asim_fx.exploration.remarks import remarks, why_not_drawn
from tests.exploration.standins import measure

BOTH = (OBJECTIVES["accuracy"], OBJECTIVES["conversions"])


def swept(*texts: str) -> tuple[list[CellResult], tuple[Axis, ...]]:
    axes = parse_axes(list(texts))
    return [measure(cell) for cell in grid(axes)], axes


def test_equal_conversions_are_said() -> None:
    results, axes = swept("bits=6,7,8")
    (remark,) = remarks(results, axes, None, drawn=True)
    assert "no front of accuracy against conversions" in remark
    assert "1,000" in remark
    assert remarks(results, axes, None, drawn=False) == []
    assert remarks(*swept("bits=6,7", "reads=1,2"), None, drawn=True) == []


def test_a_setting_that_changes_nothing_is_said() -> None:
    results, axes = swept("bits=6,7", "reads=1,2", "how=mode,mean")
    assert remarks(results, axes, None, drawn=False) == ["how: the results are the same for all of its values"]
    results[-1] = replace(results[-1], top1=1.0)
    assert remarks(results, axes, None, drawn=False) == []


def test_a_constant_objective_is_said() -> None:
    results, axes = swept("bits=6,7,8,13")
    (remark,) = remarks(results, axes, BOTH, drawn=False)
    assert "conversions: the same at all 3 points" in remark
    assert "(1,000)" in remark
    same = [replace(result, top1=10.0) for result in results[:3]]
    assert len(remarks(same, axes, BOTH, drawn=False)) == 2


def test_missing_pictures_are_said() -> None:
    results, axes = swept("bits=6,7", "reads=1:9:9", "how=mode,mean")
    said = remarks(results, axes, None, drawn=True)
    assert any("against bits: the other axes make 18 lines" in remark for remark in said)
    assert len(said) == 2  # words have no order, so nobody wonders about a missing picture of them
    (mixed,) = parse_axes(["bits=8,ideal"])
    assert why_not_drawn([], mixed) == "its values are not all numbers"
    results, axes = swept("bits=8,13")
    assert "fewer than two of its values could be run" in why_not_drawn(results, axes[0])
