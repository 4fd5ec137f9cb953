"""Plan every model of timm and torchvision, and check that no multiply-accumulate is missing.

    python -m benchmarks.zoo --jobs 2 --results zoo.jsonl
    python -m benchmarks.zoo --filter 'torchvision:*' --results zoo.jsonl

Each model has a process of its own with a limit on time and memory; its row is on disk when the next one starts, and a
run goes on where an earlier one stopped. ``--retry`` runs the failed ones again.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from asim_fx.processes import run_isolated
from benchmarks.zoo_row import ZooRow, failed, measure
from benchmarks.zoo_summary import failures, families_markdown, families_table, unmapped_markdown


def all_models() -> list[str]:
    """Return the name of every architecture of timm and every model of torchvision."""
    import timm
    import torchvision

    return [*timm.list_models(), *(f"torchvision:{name}" for name in torchvision.models.list_models())]


def read_rows(path: Path) -> dict[str, ZooRow]:
    """Return the last row of each model of a results file; a line cut off, or of another version, is left out."""
    rows = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            row = ZooRow(**json.loads(line))
        except (ValueError, TypeError):
            continue
        rows[row.name] = row
    return rows


def until(names: Iterable[str], stop: float) -> Iterator[str]:
    """Yield names until the monotonic clock reaches ``stop``."""
    for name in names:
        if time.monotonic() >= stop:
            return
        yield name


def append(path: Path, row: ZooRow) -> None:
    with path.open("a") as stream:
        stream.write(json.dumps(asdict(row)) + "\n")


def print_summary(rows: Iterable[ZooRow], console: Console) -> None:
    rows = list(rows)
    console.print(families_table(rows))
    if any(row.error for row in rows):
        console.print(failures(rows))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the survey; return 0 where every model that was asked for is planned with all its MACs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--filter", default="*", metavar="GLOB", help="models by name")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every N-th of them")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="processes at a time")
    parser.add_argument("--results", type=Path, default=Path("zoo.jsonl"), metavar="FILE", help="one row a model")
    parser.add_argument("--spec", default="ideal", help="what to plan for")
    parser.add_argument("--timeout", type=float, default=120, metavar="S", help="seconds for one model")
    parser.add_argument("--memory", type=float, default=16, metavar="GB", help="address space for one model")
    parser.add_argument("--for", dest="budget", type=float, metavar="S", help="start no model after this many seconds")
    parser.add_argument("--retry", action="store_true", help="plan again what failed")
    parser.add_argument("--summary", action="store_true", help="plan nothing, only print the tables")
    parser.add_argument("--markdown", action="store_true", help="print the tables of docs/zoo.md")
    options = parser.parse_args(arguments)
    os.environ.setdefault("OMP_NUM_THREADS", "1")

    names = [name for name in all_models() if fnmatchcase(name, options.filter)][:: options.every]
    rows = read_rows(options.results)
    todo = [name for name in names if name not in rows or (options.retry and rows[name].error)]
    stop = time.monotonic() + options.budget if options.budget else float("inf")
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("models", total=len(names), completed=len(names) - len(todo))
        planned = run_isolated(
            partial(measure, spec=options.spec),
            [] if options.summary else until(todo, stop),
            jobs=options.jobs,
            seconds=options.timeout,
            gigabytes=options.memory,
            preload=["asim_fx.cli.work.warm"],
        )
        for outcome in planned:
            row = outcome.result or failed(outcome.name, outcome.seconds, outcome.error)
            rows[row.name] = row
            append(options.results, row)
            bar.update(task, advance=1, description=row.name)
    asked = [rows[name] for name in names if name in rows]
    if options.markdown:
        print(families_markdown(asked), unmapped_markdown(asked), sep="\n\n")
    else:
        print_summary(asked, Console())
    return 0 if len(asked) == len(names) and all(row.equal for row in asked) else 1


if __name__ == "__main__":
    sys.exit(main())
