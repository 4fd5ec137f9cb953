"""Notes under the results of a sweep: which settings made no difference, and why a plot was not drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from asim_fx.exploration.axes import Axis
from asim_fx.exploration.cells import OBJECTIVES, CellResult, Objective

MOST_LINES = 8
"""Lines in one plot."""


def remarks(
    results: Sequence[CellResult], axes: Sequence[Axis], searched: Sequence[Objective] | None, *, drawn: bool
) -> list[str]:
    """Return the notes, one sentence each.

    Args:
        results: of all cells.
        axes: the fields that were swept.
        searched: the objectives of a search; None for a grid.
        drawn: whether plots were asked for.
    """
    found = []
    for objective in searched or ():
        values = {objective.of(result) for result in results} - {None}
        if len(values) == 1:
            found.append(
                f"{objective.name}: the same at all {_measured(results)} points that were tried "
                f"({_figure(values.pop())}), which told the search nothing"
            )
    found += [
        f"{axis.path}: the results are the same for all of its values"
        for axis in axes
        if len(axis.values) > 1 and _changes_nothing(results, axis)
    ]
    if not drawn:
        return found
    for name in ("conversions", "energy"):
        values = {OBJECTIVES[name].of(result) for result in results} - {None}
        if len(values) == 1 and _measured(results) > 1:
            found.append(f"no front of accuracy against {name}: all cells have the same ({_figure(values.pop())})")
    for axis in axes:
        why = why_not_drawn(results, axis)
        if why and len(axis.values) > 1 and any(Axis(axis.path, (value,)).numbers for value in axis.values):
            found.append(f"no picture of accuracy against {axis.path}: {why}")
    return found


def why_not_drawn(results: Sequence[CellResult], axis: Axis) -> str:
    """Return why accuracy cannot be drawn against an axis, or the empty string."""
    if axis.numbers is None:
        return "its values are not all numbers"
    measured = [result for result in results if result.top1 is not None]
    numbers = {dict(result.settings)[axis.path] for result in measured}
    if len(numbers) < 2:
        return "it has a single value" if len(axis.values) < 2 else "fewer than two of its values could be run"
    lines = {tuple(pair for pair in result.settings if pair[0] != axis.path) for result in measured}
    return f"the other axes make {len(lines)} lines, more than {MOST_LINES}" if len(lines) > MOST_LINES else ""


def _changes_nothing(results: Sequence[CellResult], axis: Axis) -> bool:
    """Whether cells that differ in one setting alone were all measured, and have the same results."""
    outcomes: dict[tuple[tuple[str, str], ...], list[CellResult]] = {}
    for result in results:
        rest = tuple(pair for pair in result.settings if pair[0] != axis.path)
        outcomes.setdefault(rest, []).append(replace(result, settings=rest))
    alike = all(len(set(family)) == 1 for family in outcomes.values())
    whole = any(len(family) == len(axis.values) for family in outcomes.values())
    return alike and whole and _measured(results) == len(results)


def _measured(results: Sequence[CellResult]) -> int:
    return sum(result.top1 is not None for result in results)


def _figure(value: float | None) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
