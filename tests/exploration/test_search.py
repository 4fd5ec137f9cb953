from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from asim_fx.cli.sweep import _recorded
from asim_fx.errors import UsageError
from asim_fx.exploration import search as module
from asim_fx.exploration.axes import Axis, Settings, parse_axes
from asim_fx.exploration.cells import OBJECTIVES, CellResult, pareto_front
from asim_fx.exploration.journal import cell_journal
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


def test_results_are_in_the_order_tried_also_after_a_resumption(tmp_path: Path) -> None:
    plan = Search(24, BOTH, seed=5, at_once=4)
    tried: list[Settings] = []

    def backwards(cells: Sequence[Settings]) -> Iterator[CellResult]:
        return map(measure, reversed(cells))

    def sweep(path: Path) -> list[CellResult]:
        with cell_journal(path, {}, resume=True) as journal:

            def run(cells: Sequence[Settings]) -> Iterator[CellResult]:
                tried.extend(cells)
                return _recorded(backwards, journal, cells)

            return search(AXES, plan, run)

    whole = tmp_path / "whole.jsonl"
    results = sweep(whole)
    assert [result.settings for result in results] == tried
    lines = whole.read_text().splitlines(keepends=True)
    half = tmp_path / "half.jsonl"
    half.write_text("".join([lines[0], *lines[2::2]]))  # some of each turn, as several processes leave them
    assert sweep(half) == results


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


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_cells_that_cannot_be_run_are_left_behind(monkeypatch: pytest.MonkeyPatch, sampler: Sampler) -> None:
    """Once it is known that a value cannot be run, few trials go to it."""
    tried: list[str] = []
    choose = module._choose

    def watched(trial: object, axes: Sequence[Axis]) -> Settings:
        chosen = choose(trial, axes)
        tried.append(dict(chosen)["bits"])
        return chosen

    monkeypatch.setattr(module, "_choose", watched)
    search(parse_axes(["bits=4,13,8,12", "reads=1:40:40"]), Search(60, BOTH[:1], sampler, seed=0), Counting())
    assert "13" in tried[:20]
    assert tried[20:60].count("13") < 40 / 4  # less than by chance


def test_a_search_survives_that_nothing_can_be_run() -> None:
    (result,) = search(parse_axes(["bits=13"]), Search(4, BOTH), Counting())
    assert result.error


def test_an_unknown_cost() -> None:
    with pytest.raises(UsageError, match="latency"):
        search(AXES, Search(2, (OBJECTIVES["latency"],)), Counting())
    counting = Counting()
    with pytest.raises(UsageError, match="latency"):
        search(AXES, Search(40, (OBJECTIVES["latency"],)), counting)
    assert len(counting.measured) == 4  # it does not go on for what no cell has


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_a_cell_of_unknown_cost_does_not_end_a_search(sampler: Sampler) -> None:
    def run(cells: Sequence[Settings]) -> Iterator[CellResult]:
        for cell in cells:
            ideal = dict(cell)["bits"] == "12"
            yield replace(measure(cell), energy_j=None) if ideal else measure(cell)

    objectives = (OBJECTIVES["accuracy"], OBJECTIVES["energy"])
    results = search(parse_axes(["bits=6,8,12", "reads=1,2,3,4"]), Search(12, objectives, sampler, seed=1), run)
    assert any(result.energy_j is None for result in results)
    assert any(result.energy_j is not None for result in results)


def test_different_points_are_counted() -> None:
    results = search(AXES, Search(24, BOTH[:1], seed=1), Counting())
    assert len(results) == 24
    few = search(parse_axes(["bits=4,6,8"]), Search(24, BOTH, seed=1), Counting())
    assert len(few) == 3  # the whole grid
