"""asim-report: what a saved mapping says, and how two of them differ; without the models, and without torch."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from asim_fx.cli.convert import ReportFormat, print_as
from asim_fx.cli.streams import write_document
from asim_fx.errors import ExitCode

HELP = "Reports of converted models: show one again, and see how two differ."

app = typer.Typer(name="asim-report", help=HELP, no_args_is_help=True)


class DifferenceFormat(StrEnum):
    """How a difference is printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    MD = "md"


_SOURCE = "A folder of asim-convert -o, or a file of its --report json."


@app.command()
def show(
    source: Annotated[Path, typer.Argument(metavar="DIR", help=_SOURCE, show_default=False)],
    report: Annotated[ReportFormat, typer.Option(help="How to print it.")] = ReportFormat.TABLE,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --report json.")] = False,
) -> None:
    """Print the report of a converted model again; the model is not built for it.

    The HTML page also draws what asim-simulate --probe measured, if it did.
    """
    from asim_fx.report.saved import read_saved

    saved = read_saved(source)
    if saved.fidelity is not None and report is ReportFormat.HTML and not as_json:
        from asim_fx.report.html import to_html

        write_document(to_html(saved.report, saved.fidelity) + "\n")
    else:
        print_as(saved.report, ReportFormat.JSON if as_json else report)


@app.command()
def diff(
    a: Annotated[Path, typer.Argument(metavar="A", help=_SOURCE, show_default=False)],
    b: Annotated[Path, typer.Argument(metavar="B", help=_SOURCE, show_default=False)],
    report: Annotated[DifferenceFormat, typer.Option(help="How to print it.")] = DifferenceFormat.TABLE,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --report json.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help=f"Exit with {ExitCode.VERIFICATION:d} where they differ.")
    ] = False,
) -> None:
    """Print what differs between two converted models: the spec, totals, and site by site.

    Sites are compared by name. Who decided a setting, and versions, are not compared.
    """
    from asim_fx.report.difference import compare
    from asim_fx.report.saved import read_saved

    difference = compare(read_saved(a), read_saved(b))
    if as_json or report is not DifferenceFormat.TABLE:
        from asim_fx.report.difference_files import to_csv, to_json, to_markdown

        writers = {DifferenceFormat.JSON: to_json, DifferenceFormat.CSV: to_csv, DifferenceFormat.MD: to_markdown}
        write_document(writers[DifferenceFormat.JSON if as_json else report](difference))
    else:
        from asim_fx.cli.console import stdout
        from asim_fx.report.difference_files import renderable

        console = stdout()
        console.print(renderable(difference, console.width), soft_wrap=False, highlight=False)
    if check and difference:
        raise typer.Exit(ExitCode.VERIFICATION)
