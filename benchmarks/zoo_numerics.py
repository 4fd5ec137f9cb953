"""Convert the smallest architecture of every file of timm and torchvision, and compare it with fake-quantised torch.

    python -m benchmarks.zoo_numerics --jobs 2 --results zoo_numerics.jsonl
    python -m benchmarks.zoo_numerics --filter 'torchvision:*' --results zoo_numerics.jsonl

Real tensors at two batch sizes that are not the captured one; an ideal converter. Each model has a process of its own;
its row is on disk when the next one starts, and a run goes on where an earlier one stopped. ``--retry`` runs the failed
ones again.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from fnmatch import fnmatchcase
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from asim_fx.processes import run_isolated
from benchmarks.zoo_cases import CASES
from benchmarks.zoo_numerics_row import NumericsRow, measure


def read_rows(path: Path) -> dict[str, NumericsRow]:
    """Return the last row of each model of a results file; a line cut off, or of another version, is left out."""
    rows = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            row = NumericsRow(**json.loads(line))
        except (ValueError, TypeError):
            continue
        rows[row.name] = row
    return rows


def summary(rows: Iterable[NumericsRow]) -> Table:
    """Return one line for each model that does not agree, and one for all."""
    rows = list(rows)
    agreeing = sum(row.agrees for row in rows)
    table = Table(title=f"{agreeing} of {len(rows)} agree with fake-quantised torch", title_justify="left")
    for title in ("model", "sites", "analog", "sites differ", "graphs differ", "outputs differ", "s", "error"):
        table.add_column(title, justify="left" if title in ("model", "error") else "right")
    for row in rows:
        if not row.agrees:
            table.add_row(
                row.name, str(row.sites), str(row.sites_analog), *_worst([row]), f"{row.seconds:.0f}", row.error
            )
    table.add_section()
    table.add_row(
        "all",
        str(sum(row.sites for row in rows)),
        str(sum(row.sites_analog for row in rows)),
        *_worst(rows),
        f"{sum(row.seconds for row in rows):.0f}",
    )
    return table


def _worst(rows: Sequence[NumericsRow]) -> list[str]:
    columns = ("site_difference", "graph_difference", "output_difference")
    return [
        f"{max((one for row in rows for one in (getattr(row, column) or {}).values()), default=float('nan')):.1e}"
        for column in columns
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the comparison; return 0 where every model that was asked for agrees."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--filter", default="*", metavar="GLOB", help="models by name")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="processes at a time")
    parser.add_argument(
        "--results", type=Path, default=Path("zoo_numerics.jsonl"), metavar="FILE", help="one row a model"
    )
    parser.add_argument("--timeout", type=float, default=600, metavar="S", help="seconds for one model")
    parser.add_argument("--retry", action="store_true", help="run again what does not agree")
    options = parser.parse_args(arguments)
    os.environ.setdefault("OMP_NUM_THREADS", "1")

    names = [name for name in CASES if fnmatchcase(name, options.filter)]
    rows = read_rows(options.results)
    todo = [name for name in names if name not in rows or (options.retry and not rows[name].agrees)]
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("models", total=len(names), completed=len(names) - len(todo))
        preload = ["asim_fx.cli.work.warm"]
        for outcome in run_isolated(measure, todo, jobs=options.jobs, seconds=options.timeout, preload=preload):
            row = outcome.result or NumericsRow(outcome.name, seconds=round(outcome.seconds, 2), error=outcome.error)
            rows[row.name] = row
            with options.results.open("a") as stream:
                stream.write(json.dumps(asdict(row)) + "\n")
            bar.update(task, advance=1, description=row.name)
    asked = [rows[name] for name in names if name in rows]
    Console().print(summary(asked))
    return 0 if len(asked) == len(names) and all(row.agrees for row in asked) else 1


if __name__ == "__main__":
    sys.exit(main())
