from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from asim_fx.errors import UsageError
from asim_fx.exploration.axes import Settings, parse_axes
from asim_fx.exploration.cells import OBJECTIVES, CellResult, pareto_front
from asim_fx.exploration.search import Sampler, Search, search
from tests.exploration.standins import measure

pytest.importorskip("optuna")
AXES = parse_axes(["bits=4:12:9", "reads=1,2,3,4", "how=mode,mean"])
BOTH = (OBJECTIVES["accuracy"], OBJECTIVES["conversions"])


class Counting:
    """Remembers what was measured, as a journal does."""

    def __init__(self, known: dict[Settings, CellResult] | None = None) -> None:
        self.known = dict(known or {})
        self.measured: list[Settings] = []

    def __call__(self, cells: Sequence[Settings]) -> Iterator[CellResult]:
        for cell in reversed(cells):  # in any order
            if cell not in self.known:
                self.measured.append(cell)
                self.known[cell] = measure(cell)
            yield self.known[cell]


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
@pytest.mark.parametrize("at_once", [1, 3])
def test_a_resumed_search_makes_the_same_choices(sampler: Sampler, at_once: int) -> None:
    plan = Search(24, BOTH, sampler, seed=5, at_once=at_once)
    whole = Counting()
    results = search(AXES, plan, whole)
    half = dict(list(whole.known.items())[: len(whole.known) // 2])
    resumed = Counting(half)
    assert search(AXES, plan, resumed) == results
    assert not set(resumed.measured) & set(half)
    assert set(resumed.measured) | set(half) == set(whole.known)


def test_another_seed_searches_elsewhere() -> None:
    found = {tuple(Counting_order(seed)) for seed in range(3)}
    assert len(found) == 3


def Counting_order(seed: int) -> list[Settings]:  # noqa: N802 (reads as what it returns)
    counting = Counting()
    search(AXES, Search(8, BOTH, seed=seed), counting)
    return counting.measured


def test_one_objective_is_improved() -> None:
    results = search(AXES, Search(40, BOTH[:1], seed=1), Counting())
    best = max(result.top1 or 0 for result in results)
    assert best > 99.9  # the top 4 % of the grid
    assert pareto_front(results, BOTH[:1])


def test_cells_that_cannot_be_run_are_left_behind() -> None:
    results = search(parse_axes(["bits=12,13"]), Search(12, BOTH, seed=0), Counting())
    assert {dict(result.settings)["bits"] for result in results} == {"12", "13"}


def test_an_unknown_cost() -> None:
    with pytest.raises(UsageError, match="latency"):
        search(AXES, Search(2, (OBJECTIVES["latency"],)), Counting())
