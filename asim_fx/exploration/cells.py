"""What a sweep measures of one combination of settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from asim_fx.errors import UsageError
from asim_fx.exploration.axes import Settings

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


OBJECTIVES = {
    objective.name: objective
    for objective in (
        Objective("accuracy", "top1", largest=True),
        Objective("conversions", "conversions"),
        Objective("energy", "energy_j"),
        Objective("latency", "latency_s"),
    )
}


def pareto_front(results: Sequence[CellResult], objectives: Sequence[Objective]) -> list[CellResult]:
    """Return the cells that no other cell beats: as good in every objective and better in one.

    Cells without a value, and all but the first of equals, are left out. In the order of the first objective.
    """
    points: dict[tuple[float, ...], CellResult] = {}
    for result in results:
        values = [objective.of(result) for objective in objectives]
        if None not in values:
            signed = tuple(
                -value if objective.largest else value
                for value, objective in zip((v for v in values if v is not None), objectives, strict=True)
            )
            points.setdefault(signed, result)
    best = [point for point in points if not any(other != point and _dominates(other, point) for other in points)]
    return [points[point] for point in sorted(best)]


def _dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return all(mine <= theirs for mine, theirs in zip(one, other, strict=True))
