"""What a sweep measures of one combination of settings."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from asim_fx.errors import UsageError
from asim_fx.exploration.axes import Settings
from asim_fx.exploration.costs import amount
from asim_fx.report.words import quantity

Evaluate = Callable[[Settings], "CellResult"]
Prepare = Callable[[], Evaluate]
"""Makes ready what all cells share, once in each process. Pickles."""
RunCells = Callable[[Sequence[Settings]], "Iterator[CellResult]"]
"""Evaluates cells, in any order."""


@dataclass(frozen=True, slots=True)
class CellResult:
    """One combination of settings, measured. Accuracies are in percent; counts and costs are for one image.

    Attributes:
        settings: fields of the spec and their values.
        top1: of the simulated hardware, the mean over seeds.
        top1_low: lower end of its 95 % interval.
        top1_high: upper end.
        interval: what the interval is over.
        top5: among the first five; None where there are five classes or fewer.
        integer_top1: of the ideal integer model.
        images: that were seen.
        conversions: ADC conversions.
        energy_j: energy; None where the spec does not say enough.
        latency_s: of one image, as the schedule has it; None where unknown.
        error: why this combination cannot be run, or the empty string; then all else is None.
    """

    settings: Settings
    top1: float | None = None
    top1_low: float | None = None
    top1_high: float | None = None
    interval: str = ""
    top5: float | None = None
    integer_top1: float | None = None
    images: int | None = None
    conversions: int | None = None
    energy_j: float | None = None
    latency_s: float | None = None
    error: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return plain data; ``from_json`` makes the same cell of it."""
        return {**asdict(self), "settings": dict(self.settings)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CellResult:
        """Return the cell of plain data.

        Raises:
            UsageError: it is no cell.
        """
        try:
            settings = tuple((str(path), str(value)) for path, value in data["settings"].items())
            return cls(**{**data, "settings": settings})
        except (AttributeError, KeyError, TypeError) as error:
            message = "no result of a sweep"
            raise UsageError(message) from error


def given_up(settings: Settings, why: str) -> CellResult:
    """Return the result of a cell that ends the process which measures it, whenever it is tried."""
    return CellResult(
        settings,
        error=f"{why}. Probably it needs more memory than there is. To try it again, "
        "remove its line from cells.jsonl and resume",
    )


@dataclass(frozen=True, slots=True)
class Objective:
    """What a search improves.

    Attributes:
        name: as a user says it.
        field: of ``CellResult``.
        largest: whether more is better.
    """

    name: str
    field: str
    largest: bool = False

    def of(self, result: CellResult) -> float | None:
        """Return the value of a cell; None where it has none."""
        value: float | None = getattr(result, self.field)
        return value

    def words(self, value: float) -> str:
        """Return a value with its unit."""
        if self.name == "accuracy":
            return f"{value:.2f} %"
        return quantity(value, "s") if self.name == "latency" else amount(value, self.name)


OBJECTIVES = {
    objective.name: objective
    for objective in (
        Objective("accuracy", "top1", largest=True),
        Objective("conversions", "conversions"),
        Objective("energy", "energy_j"),
        Objective("latency", "latency_s"),
    )
}


def front_objectives(results: Sequence[CellResult], asked: Sequence[Objective] | None) -> tuple[Objective, ...]:
    """Return what a front is of: what was asked for, else accuracy and energy, or conversions where that is unknown."""
    if asked:
        return tuple(asked)
    known = all(result.energy_j is not None for result in results if not result.error)
    return (OBJECTIVES["accuracy"], OBJECTIVES["energy" if known else "conversions"])


def pareto_front(results: Sequence[CellResult], objectives: Sequence[Objective]) -> list[CellResult]:
    """Return the cells that no other cell beats: as good in every objective and better in one.

    Cells without a value are left out. Of cells that are equal in these objectives one stays: the best in accuracy,
    conversions, energy and latency, in this order, and then the first. In the order of the first objective.
    """
    points: dict[tuple[float, ...], CellResult] = {}
    for result in results:
        point = _signed(result, objectives)
        if math.inf in point:
            continue
        other = points.setdefault(point, result)
        if _signed(result, tuple(OBJECTIVES.values())) < _signed(other, tuple(OBJECTIVES.values())):
            points[point] = result
    best = [point for point in points if not any(other != point and _dominates(other, point) for other in points)]
    return [points[point] for point in sorted(best)]


def _signed(result: CellResult, objectives: Sequence[Objective]) -> tuple[float, ...]:
    """Return the values of a cell so that less is better in each; infinity where it has none."""
    values = ((objective.of(result), objective.largest) for objective in objectives)
    return tuple(math.inf if value is None else -value if largest else value for value, largest in values)


def _dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return all(mine <= theirs for mine, theirs in zip(one, other, strict=True))
