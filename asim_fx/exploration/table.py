"""The results of a sweep as CSV and as a table in a terminal."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from asim_fx.exploration.cells import CellResult, Objective, pareto_front

if TYPE_CHECKING:
    from rich.console import RenderableType

_MEASURED = (
    "top1",
    "top1_low",
    "top1_high",
    "interval",
    "top5",
    "integer_top1",
    "images",
    "conversions",
    "energy_j",
    "latency_s",
    "error",
)


def to_csv(results: Sequence[CellResult]) -> str:
    """Return one line for each cell: its settings, then what was measured."""
    paths = list(dict.fromkeys(path for result in results for path, _ in result.settings))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*paths, *_MEASURED])
    for result in results:
        settings = dict(result.settings)
        measured = ["" if (value := getattr(result, name)) is None else value for name in _MEASURED]
        writer.writerow([*(settings.get(path, "") for path in paths), *measured])
    return text.getvalue()


def results_table(results: Sequence[CellResult], width: int, objectives: Sequence[Objective]) -> RenderableType:
    """Return one line for each cell, those on the Pareto front of the objectives marked with a star."""
    from asim_fx.report.fitting import Column, fitted_table

    front = pareto_front(results, objectives)
    paths = list(dict.fromkeys(path for result in results for path, _ in result.settings))
    columns = [
        Column(path, [dict(result.settings).get(path, "") for result in results], right=True, least=6) for path in paths
    ]
    columns += [
        Column("top-1 %", [_accuracy(result) for result in results], right=True, least=len("(100.0-100.0)")),
        Column("conversions", [_number(result.conversions) for result in results], 1, right=True),
        Column("energy, uJ", [_micro(result.energy_j) for result in results], 2, right=True),
        Column("front", ["*" if result in front else "" for result in results], 3),
    ]
    return fitted_table(columns, width, elsewhere="a wider terminal, --json or the CSV shows them")


def _accuracy(result: CellResult) -> str:
    if result.top1 is None:
        return f"cannot be run: {result.error.splitlines()[0]}"
    return f"{result.top1:.2f} ({result.top1_low:.1f}-{result.top1_high:.1f})"


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _micro(value: float | None) -> str:
    return "" if value is None else f"{value * 1e6:.4g}"
