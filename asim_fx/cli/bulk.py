"""asim-convert with a pattern for MODEL: plan every model that it matches, and say what became of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asim_fx.cli.console import progress_bar, stdout
from asim_fx.cli.interrupts import ending_at_interrupt
from asim_fx.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from rich.console import RenderableType

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
        console = stdout()
        console.print(_table(shown, console.width))
    where = "" if results_file is None else f"; rows in {results_file}"
    stdout().print(f"{len(rows) - len(failed)} of {len(rows)} models planned on {document.name}{where}", markup=False)
    if failed:
        message = f"{len(failed)} of {len(rows)} models could not be planned"
        raise PlanError(message, hint="asim-convert NAME SPEC --dry-run says more about one of them")


def _table(rows: Sequence[BulkRow], width: int) -> RenderableType:
    from asim_fx.report.fitting import Column, fitted_table
    from asim_fx.report.words import count, printable, share

    def figures(title: str, rank: int, figure: Callable[[BulkRow], str]) -> Column:
        return Column(title, ["-" if row.error else figure(row) for row in rows], rank, right=True)

    columns = [
        Column("model", [printable(row.name) for row in rows], least=16),
        figures("sites", 2, lambda row: str(row.sites)),
        figures("MACs", 0, lambda row: count(row.macs)),
        figures("analog", 1, lambda row: share(row.analog_share)),
        figures("ADC reads", 3, lambda row: count(row.reads)),
        Column("seconds", [f"{row.seconds:.1f}" for row in rows], 4, right=True),
    ]
    if any(row.error for row in rows):
        columns.append(Column("error", [printable(row.error) for row in rows], least=min(40, width // 3)))
    return fitted_table(columns, width, elsewhere="a wider terminal or --results-file shows them")
