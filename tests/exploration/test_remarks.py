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
    assert "1,000 conversions" in remark
    assert remarks(results, axes, None, drawn=False) == []
    assert remarks(*swept("bits=6,7", "reads=1,2"), None, drawn=True) == []


def test_a_setting_that_changes_nothing_is_said() -> None:
    results, axes = swept("bits=6,7", "reads=1,2", "how=mode,mean")
    assert remarks(results, axes, None, drawn=False) == ["how: the results are the same for all of its values"]
    results[-1] = replace(results[-1], top1=1.0)
    assert remarks(results, axes, None, drawn=False) == []


def test_a_search_says_it_only_of_what_it_compared() -> None:
    """Votes of no level are the same whatever their samples; with levels they were never compared."""
    axes = parse_axes(["levels=0,3", "samples=3,5", "bits=6,7"])
    cells = [cell for cell in grid(axes) if dict(cell)["levels"] == "0" or dict(cell)["samples"] == "3"]
    searched = [measure(cell) for cell in cells]
    assert not any("samples" in remark for remark in remarks(searched, axes, BOTH, drawn=False))
    one = [measure(cell) for cell in grid(axes) if dict(cell)["levels"] == "0" or dict(cell)["bits"] == "6"]
    (words,) = [remark for remark in remarks(one, axes, BOTH, drawn=False) if "samples" in remark]
    assert words == "samples: the results are the same for all of its values"
    single = [cell for cell in grid(axes) if cell[0][1] == "0" and cell[2][1] == "6"]
    lone = [*map(measure, single), measure(next(cell for cell in grid(axes) if cell[0][1] == "3"))]
    assert not any("samples" in remark for remark in remarks(lone, axes, BOTH, drawn=False))


def test_unknown_energy_is_said() -> None:
    results, axes = swept("bits=6,7,8")
    results[1] = replace(results[1], energy_j=None)
    (words,) = [remark for remark in remarks(results, axes, None, drawn=False) if "unknown" in remark]
    assert "energy: unknown for 1 of 3 cells (the first: bits=7)" in words
    assert "search" not in words
    energy = (OBJECTIVES["accuracy"], OBJECTIVES["energy"])
    assert any("took them for the worst" in remark for remark in remarks(results, axes, energy, drawn=False))
    nothing = [replace(result, energy_j=None) for result in results]
    assert any("energy: unknown for all cells" in remark for remark in remarks(nothing, axes, None, drawn=False))


def test_the_cost_of_float_sites_is_said() -> None:
    results, axes = swept("defaults.target=integer,float")
    assert any(
        "no cost model for sites of target float" in remark for remark in remarks(results, axes, None, drawn=False)
    )
    results, axes = swept("defaults.target=integer,analog")
    assert not any("cost model" in remark for remark in remarks(results, axes, None, drawn=False))


def test_a_constant_objective_is_said() -> None:
    results, axes = swept("bits=6,7,8,13")
    (remark,) = remarks(results, axes, BOTH, drawn=False)
    assert "conversions: the same at all 3 points" in remark
    assert "(1,000 conversions)" in remark
    same = [replace(result, top1=10.0) for result in results[:3]]
    assert len(remarks(same, axes, BOTH, drawn=False)) == 2


def test_many_lines_are_drawn_where_a_number_tells_them_apart() -> None:
    results, axes = swept("bits=5,6,7,8", "reads=1:9:9")
    assert not any("no picture" in remark for remark in remarks(results, axes, None, drawn=True))
    results, axes = swept("bits=5,6", "reads=1:41:41")
    assert any(
        "against bits: the other axes make 41 lines, more than 40" in remark
        for remark in remarks(results, axes, None, drawn=True)
    )


def test_missing_pictures_are_said() -> None:
    results, axes = swept("bits=6,7", "reads=1:9:9", "how=mode,mean")
    said = remarks(results, axes, None, drawn=True)
    assert any("against bits: the other axes make 18 lines" in remark for remark in said)
    assert len(said) == 2  # words have no order, so nobody wonders about a missing picture of them
    (mixed,) = parse_axes(["bits=8,ideal"])
    assert why_not_drawn([], (mixed,), mixed) == "its values are not all numbers"
    results, axes = swept("bits=8,13")
    assert "fewer than two of its values could be run" in why_not_drawn(results, axes, axes[0])
