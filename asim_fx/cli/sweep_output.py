"""What asim-sweep writes and prints."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asim_fx.cli.streams import write_document

if TYPE_CHECKING:
    from asim_fx.exploration.axes import Axis
    from asim_fx.exploration.cells import CellResult, Objective


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished sweep.

    Attributes:
        model: name of the model.
        spec: name of the hardware.
        data: the images, in words.
        results: of all cells.
        objectives: what the front is of.
        notes: what else must be said.
    """

    model: str
    spec: str
    data: str
    results: Sequence[CellResult]
    objectives: Sequence[Objective]
    notes: Sequence[str] = ()

    @property
    def failed(self) -> int:
        """How many cells could not be run."""
        return sum(bool(result.error) for result in self.results)


def write_results(outcome: Outcome, axes: Sequence[Axis], folder: Path, *, plots: bool) -> list[Path]:
    """Write the table and the pictures beside the results file; return all files.

    Raises:
        OutputError: one cannot be written.
    """
    from asim_fx.exploration.plots import write_plots
    from asim_fx.exploration.table import to_csv
    from asim_fx.files import write_atomically

    write_atomically(folder / "cells.csv", to_csv(outcome.results))
    title = f"{outcome.model} on {outcome.spec}"
    drawn = write_plots(outcome.results, axes, title, folder) if plots else []
    return [folder / "cells.jsonl", folder / "cells.csv", *drawn]


def show(outcome: Outcome, files: Sequence[Path], *, as_json: bool) -> None:
    """Print the results on stdout, and on stderr which files there are."""
    from asim_fx.cli.console import stderr

    if as_json:
        write_document(json.dumps(_document(outcome, files), indent=2) + "\n")
    else:
        _print(outcome)
    for path in files:
        stderr().print(f"wrote {path}", markup=False)


def _document(outcome: Outcome, files: Sequence[Path]) -> dict[str, Any]:
    from asim_fx.exploration.cells import OBJECTIVES, pareto_front

    fronts = {
        name: [
            dict(cell.settings) for cell in pareto_front(outcome.results, (OBJECTIVES["accuracy"], OBJECTIVES[name]))
        ]
        for name in ("conversions", "energy")
    }
    return {
        "model": outcome.model,
        "spec": outcome.spec,
        "data": outcome.data,
        "cells": [result.to_json() for result in outcome.results],
        "failed": outcome.failed,
        "pareto": fronts,
        "front": {
            "objectives": [objective.name for objective in outcome.objectives],
            "cells": [dict(cell.settings) for cell in pareto_front(outcome.results, outcome.objectives)],
        },
        "notes": list(outcome.notes),
        "files": list(map(str, files)),
    }


def _print(outcome: Outcome) -> None:
    from asim_fx.cli.console import stdout
    from asim_fx.exploration.table import results_table

    console = stdout()
    console.print(f"[bold]{outcome.model}[/] on [bold]{outcome.spec}[/]; {outcome.data}")
    console.print(results_table(outcome.results, console.width, outcome.objectives))
    intervals = dict.fromkeys(result.interval for result in outcome.results if not result.error)
    integer = [result.integer_top1 for result in outcome.results if result.integer_top1 is not None]
    front = " and ".join(objective.name for objective in outcome.objectives)
    console.print(f"in brackets: 95 % interval over {', or '.join(intervals)}; *: Pareto front of {front}")
    console.print(f"ideal integer model: {_span(integer)} %")
    for note in outcome.notes:
        console.print(f"note: {note}", markup=False)


def _span(values: Sequence[float]) -> str:
    """Return the least and the greatest of some percentages, once where they are printed alike."""
    return " to ".join(dict.fromkeys(f"{value:.2f}" for value in (min(values), max(values))))
