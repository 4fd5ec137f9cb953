"""Notes under the results of a sweep: which settings made no difference, and why a plot was not drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from asim_fx.exploration.axes import Axis
from asim_fx.exploration.cells import OBJECTIVES, CellResult, Objective

MOST_LINES = 8
"""Lines in one plot that colours, markers and dashes tell apart."""
MOST_SHADES = 40
"""Lines in one plot whose colour is a number."""


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
                f"({_in_words(objective, values)}), which told the search nothing"
            )
    found += [
        f"{axis.path}: the results are the same for all of its values"
        for axis in axes
        if len(axis.values) > 1 and _changes_nothing(results, axis)
    ]
    found += _unknown(results, searched or ())
    found += [
        f"{axis.path}: there is no cost model for sites of target float, so conversions and energy leave them out; "
        "the costs of these cells cannot be compared with those of others"
        for axis in axes
        if _field(axis.path) == "target" and any(dict(result.settings)[axis.path] == "float" for result in results)
    ]
    return found + _missing_plots(results, axes) if drawn else found


def _unknown(results: Sequence[CellResult], searched: Sequence[Objective]) -> list[str]:
    """Return for energy, and for what was searched for, of which cells it is unknown."""
    found = []
    for objective in dict.fromkeys((OBJECTIVES["energy"], *searched)):
        lacking = [result for result in results if not result.error and objective.of(result) is None]
        if not lacking:
            continue
        if len(lacking) == _measured(results):
            which = "all cells"
        else:
            first = ", ".join(f"{path}={value}" for path, value in lacking[0].settings)
            which = f"{len(lacking)} of {_measured(results)} cells (the first: {first})"
        taken = "; the search took them for the worst" if objective in searched else ""
        found.append(
            f"{objective.name}: unknown for {which}, as the spec does not say what it follows from (`macros.*.cost`, "
            f"and converter bits that are a number){taken}"
        )
    return found


def _missing_plots(results: Sequence[CellResult], axes: Sequence[Axis]) -> list[str]:
    found = []
    for name in ("conversions", "energy"):
        values = {OBJECTIVES[name].of(result) for result in results} - {None}
        if len(values) == 1 and _measured(results) > 1:
            same = _in_words(OBJECTIVES[name], values)
            found.append(f"no front of accuracy against {name}: all cells have the same ({same})")
    for axis in axes:
        why = why_not_drawn(results, axes, axis)
        if why and len(axis.values) > 1 and any(Axis(axis.path, (value,)).numbers for value in axis.values):
            found.append(f"no picture of accuracy against {axis.path}: {why}")
    return found


def why_not_drawn(results: Sequence[CellResult], axes: Sequence[Axis], axis: Axis) -> str:
    """Return why accuracy cannot be drawn against an axis, or the empty string."""
    if axis.numbers is None:
        return "its values are not all numbers"
    measured = [result for result in results if result.top1 is not None]
    numbers = {dict(result.settings)[axis.path] for result in measured}
    if len(numbers) < 2:
        return "it has a single value" if len(axis.values) < 2 else "fewer than two of its values could be run"
    lines = len({tuple(pair for pair in result.settings if pair[0] != axis.path) for result in measured})
    most = MOST_LINES if shading_axis(axes, axis) is None else MOST_SHADES
    return f"the other axes make {lines} lines, more than {most}" if lines > most else ""


def shading_axis(axes: Sequence[Axis], axis: Axis) -> Axis | None:
    """Return the axis whose number can be the colour of a line: the only other one of several values, all numbers."""
    others = [other for other in axes if other != axis and len(other.values) > 1]
    return others[0] if len(others) == 1 and others[0].numbers is not None else None


def _changes_nothing(results: Sequence[CellResult], axis: Axis) -> bool:
    """Whether all values of an axis give the same results, wherever the other settings are the same.

    All cells must have been measured, and cells of all values of the axis must be there to compare: for every
    combination of the other settings that was tried, or, in a search, for more than one combination and for every value
    of the others that was tried.
    """
    families: dict[tuple[tuple[str, str], ...], list[CellResult]] = {}
    for result in results:
        rest = tuple(pair for pair in result.settings if pair[0] != axis.path)
        families.setdefault(rest, []).append(replace(result, settings=rest))
    if _measured(results) < len(results) or any(len(set(family)) > 1 for family in families.values()):
        return False
    whole = [rest for rest, family in families.items() if len(family) == len(axis.values)]
    tried = {pair for rest in families for pair in rest}
    compared = {pair for rest in whole for pair in rest}
    return len(whole) == len(families) or (len(whole) > 1 and tried == compared)


def _measured(results: Sequence[CellResult]) -> int:
    return sum(result.top1 is not None for result in results)


def _in_words(objective: Objective, values: set[float | None]) -> str:
    """Return the only value of a set with its unit."""
    return next(objective.words(value) for value in values if value is not None)


def _field(path: str) -> str:
    return path.rpartition(".")[2]
