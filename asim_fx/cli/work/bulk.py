"""Plan many models, one row each. Imports torch: only for the body of a command."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from functools import partial
from pathlib import Path

from asim_fx.cli.work.planning import ConversionOptions, ModelOptions, plan_model
from asim_fx.errors import OutputError, UsageError
from asim_fx.files import write_atomically
from asim_fx.processes import run_isolated

TIME_LIMIT = 600.0
"""Seconds that one model may take."""


@dataclass(frozen=True, slots=True)
class BulkRow:
    """One model, planned or not. All counts are for one image.

    Attributes:
        name: as ``asim-convert`` takes it.
        spec: name of the hardware.
        sites: rows of its report.
        macs: all of them.
        macs_analog: of these, on the arrays.
        analog_share: of these; None for a model without MACs.
        reads: ADC conversions.
        seconds: building and planning.
        error: why it could not be planned, in one line.
    """

    name: str
    spec: str
    sites: int | None = None
    macs: int | None = None
    macs_analog: int | None = None
    analog_share: float | None = None
    reads: int | None = None
    seconds: float = 0.0
    error: str = ""


COLUMNS = tuple(field.name for field in fields(BulkRow))


def plan_row(name: str, spec: str, options: ModelOptions, conversion: ConversionOptions) -> BulkRow:
    """Plan one model in this process."""
    start = time.perf_counter()
    report = plan_model(name, spec, options, conversion, lambda _: None).report
    totals = {key: report.totals[key] for key in ("sites", "macs", "macs_analog", "analog_share", "reads")}
    return BulkRow(name, report.spec, **totals, seconds=round(time.perf_counter() - start, 2))


def plan_rows(
    names: Sequence[str],
    spec: str,
    options: ModelOptions,
    conversion: ConversionOptions,
    spec_name: str,
    jobs: int,
    path: Path | None,
) -> Iterator[BulkRow]:
    """Plan models, each in a process of its own, and yield their rows.

    Args:
        names: of the models.
        spec: name or path of the hardware.
        options: how each is built.
        conversion: how each is converted.
        spec_name: the hardware's own name.
        jobs: models at a time.
        path: a CSV file that gets each row at once. What it already holds is not planned again, unless it failed.

    Raises:
        UsageError: the file holds something else, or rows of another spec.
        OutputError: the file cannot be written.
    """
    done = {} if path is None else _read(path, spec_name)
    if path is not None:
        write_atomically(path, _csv([COLUMNS, *map(_cells, done.values())]))
    yield from (done[name] for name in names if name in done)
    missing = [name for name in names if name not in done]
    call = partial(plan_row, spec=spec, options=options, conversion=conversion)
    for outcome in run_isolated(call, missing, jobs=jobs, seconds=TIME_LIMIT, preload=["asim_fx.cli.work.warm"]):
        row = outcome.result or BulkRow(outcome.name, spec_name, seconds=round(outcome.seconds, 2), error=outcome.error)
        if path is not None:
            _append(path, row)
        yield row


def _cells(row: BulkRow) -> list[object]:
    return ["" if value is None else value for value in astuple(row)]


def _csv(lines: Iterable[Iterable[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()


def _append(path: Path, row: BulkRow) -> None:
    try:
        with path.open("a", encoding="utf-8", newline="") as stream:
            stream.write(_csv([_cells(row)]))
    except OSError as error:
        message = f"cannot write {path}: {error.strerror or error}"
        raise OutputError(message) from error


def _read(path: Path, spec: str) -> dict[str, BulkRow]:
    """Return the rows of models that were planned, by name."""
    if not path.exists():
        return {}
    try:
        lines = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        message = f"cannot read {path}: {error}"
        raise UsageError(message) from error
    if lines and tuple(lines[0]) != COLUMNS:
        message = f"{path} holds something else than plans of models"
        raise UsageError(message, hint="give another --results-file")
    rows = [row for line in lines[1:] if (row := _parse(line)) is not None]
    others = sorted({row.spec for row in rows} - {spec})
    if others:
        message = f"{path} holds plans for {', '.join(others)}, not for {spec}"
        raise UsageError(message, hint="give another --results-file")
    return {row.name: row for row in rows if not row.error}


def _parse(line: list[str]) -> BulkRow | None:
    """Return the row of a line; None for one that was cut off."""
    if len(line) != len(COLUMNS):
        return None
    name, spec, sites, macs, macs_analog, analog_share, reads, seconds, error = line
    if error:
        return BulkRow(name, spec, error=error)
    try:
        share = float(analog_share) if analog_share else None
        return BulkRow(name, spec, int(sites), int(macs), int(macs_analog), share, int(reads), float(seconds))
    except ValueError:
        return None
