"""asim-convert with a pattern for MODEL: plan every model that it matches, and say what became of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asim_fx.cli.console import progress_bar, stdout
from asim_fx.cli.interrupts import ending_at_interrupt
from asim_fx.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.table import Table

    from asim_fx.cli.work.bulk import BulkRow
    from asim_fx.cli.work.planning import ConversionOptions, ModelOptions


def is_pattern(model: str) -> bool:
    """Return whether the name of a model has wildcards."""
    return any(character in model for character in "*?[")


def plan_many(
    pattern: str,
    spec: str,
    options: ModelOptions,
    conversion: ConversionOptions,
    results_file: Path | None,
    jobs: int,
) -> None:
    """Plan every model that a pattern matches. One that fails never stops the rest.

    Rows go to the file where there is one, and only failures and a summary to the terminal.

    Raises:
        PlanError: at least one model could not be planned.
        ModelError: the pattern matches none.
        UsageError: the file belongs to something else.
    """
    from asim_fx.cli.work.bulk import plan_rows
    from asim_fx.models import matching_models
    from asim_fx.spec import load_spec

    document = load_spec(spec, conversion.overrides)
    names = matching_models(pattern)
    rows: list[BulkRow] = []
    kept = "interrupted" if results_file is None else f"interrupted; the finished rows are in {results_file}"
    hint = "" if results_file is None else "the same command goes on with them"
    with ending_at_interrupt(kept, hint), progress_bar() as bar:
        task = bar.add_task("planning", total=len(names))
        for row in plan_rows(names, spec, options, conversion, document.name, jobs, results_file):
            rows.append(row)
            bar.update(task, advance=1, description=row.name)
    failed = [row for row in rows if row.error]
    shown = rows if results_file is None else failed
    if shown:
        stdout().print(_table(shown))
    where = "" if results_file is None else f"; rows in {results_file}"
    stdout().print(f"{len(rows) - len(failed)} of {len(rows)} models planned on {document.name}{where}", markup=False)
    if failed:
        message = f"{len(failed)} of {len(rows)} models could not be planned"
        raise PlanError(message, hint="asim-convert NAME SPEC --dry-run says more about one of them")


def _table(rows: Sequence[BulkRow]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from asim_fx.report.words import count, printable, share

    table = Table("model", box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("sites", "MACs", "analog", "ADC reads", "seconds"):
        table.add_column(title, justify="right", no_wrap=True)
    if any(row.error for row in rows):
        table.add_column("error", overflow="fold")
    for row in rows:
        figures = ["-"] * 4
        if not row.error:
            figures = [str(row.sites), count(row.macs), share(row.analog_share), count(row.reads)]
        table.add_row(row.name, *figures, f"{row.seconds:.1f}", *([Text(printable(row.error))] if row.error else []))
    return table
