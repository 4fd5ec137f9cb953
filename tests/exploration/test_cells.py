from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asim_fx.errors import UsageError
from asim_fx.exploration.cells import OBJECTIVES, CellResult, front_objectives, pareto_front
from tests.exploration.standins import measure

BOTH = (OBJECTIVES["accuracy"], OBJECTIVES["conversions"])
POINTS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=12)


def cell(number: int, top1: float | None, conversions: int | None) -> CellResult:
    return CellResult((("a", str(number)),), top1=top1, conversions=conversions)


@given(POINTS)
def test_the_front_is_what_nothing_beats(points: list[tuple[int, int]]) -> None:
    cells = [cell(number, *point) for number, point in enumerate(points)]
    front = {(one.top1, one.conversions) for one in pareto_front(cells, BOTH)}
    expected = {
        (top1, cost)
        for top1, cost in points
        if not any(a >= top1 and c <= cost and (a, c) != (top1, cost) for a, c in points)
    }
    assert front == expected
    assert len(pareto_front(cells, BOTH)) == len(front)


def test_cells_without_a_value_are_not_on_it() -> None:
    failed = CellResult((("a", "9"),), error="no")
    assert pareto_front([failed, cell(1, 90.0, None), cell(2, 80.0, 5)], BOTH) == [cell(2, 80.0, 5)]
    assert pareto_front([], BOTH) == []


def test_plain_data_and_back() -> None:
    result = measure((("bits", "6"), ("reads", "3")))
    assert CellResult.from_json(result.to_json()) == result


@pytest.mark.parametrize("data", [{}, {"settings": []}, {"settings": {}, "more": 1}])
def test_something_else_is_refused(data: dict) -> None:
    with pytest.raises(UsageError):
        CellResult.from_json(data)


def test_an_objective_reads_its_field() -> None:
    result = replace(measure((("bits", "6"),)), latency_s=2.0)
    values = [OBJECTIVES[name].of(result) for name in ("accuracy", "conversions", "energy", "latency")]
    assert values == [96.0, 1000, pytest.approx(6e-9), 2.0]


def test_another_objective_breaks_a_tie() -> None:
    cells = [
        CellResult((("a", str(n)),), 90.0, conversions=10, energy_j=energy) for n, energy in enumerate((3.0, 1.0, 1.0))
    ]
    (best,) = pareto_front(cells, (OBJECTIVES["accuracy"], OBJECTIVES["conversions"]))
    assert best == cells[1]


def test_the_front_of_a_grid_is_of_energy_where_it_is_known() -> None:
    known = CellResult((), 90.0, conversions=10, energy_j=1.0)
    failed = CellResult((), error="impossible")
    names = [objective.name for objective in front_objectives([known, failed], None)]
    assert names == ["accuracy", "energy"]
    names = [objective.name for objective in front_objectives([known, replace(known, energy_j=None)], None)]
    assert names == ["accuracy", "conversions"]
    assert front_objectives([known], (OBJECTIVES["latency"],)) == (OBJECTIVES["latency"],)


def test_values_have_units() -> None:
    assert OBJECTIVES["energy"].words(1.882e-6) == "1.882 µJ"
    assert OBJECTIVES["conversions"].words(1000) == "1,000 conversions"
    assert OBJECTIVES["accuracy"].words(97.5) == "97.50 %"
    assert OBJECTIVES["latency"].words(2e-3) == "2 ms"
