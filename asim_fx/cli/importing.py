"""asim-import: configurations and weights of the published ASiM simulator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asim_fx.cli.streams import write_document

if TYPE_CHECKING:
    from rich.console import Console

    from asim_fx.importing.config import ImportedConfig

HELP = "Import what was made for the published ASiM simulator: its configurations and its weights."

app = typer.Typer(name="asim-import", help=HELP, no_args_is_help=True)


@app.callback(help=HELP)
def _commands() -> None:
    """Keep `config` a command of its own, whatever others there are."""


@app.command("config")
def import_config_file(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Its config.py, which is parsed and never run.", show_default=False)
    ],
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="SPEC", help="Write the spec here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print spec and account as JSON.")] = False,
) -> None:
    """Turn a configuration into a hardware spec, and account for each of its settings.

    The spec goes to -o, or to stdout, the account then to stderr.
    """
    from asim_fx.cli.console import stderr, stdout
    from asim_fx.files import write_atomically
    from asim_fx.importing.config import import_config
    from asim_fx.importing.config_file import read_config

    imported = import_config(read_config(file))
    if output is not None:
        write_atomically(output, imported.text)
    if as_json:
        from dataclasses import asdict

        settings = [asdict(account) for account in imported.accounts]
        record = {"spec": imported.document, "settings": settings, "notes": list(imported.notes)}
        write_document(json.dumps(record, indent=2) + "\n")
        return
    if output is None:
        write_document(imported.text)
    _print_account(imported, stderr() if output is None else stdout())


def _print_account(imported: ImportedConfig, console: Console) -> None:
    from rich.markup import escape
    from rich.table import Table

    own = [account for account in imported.accounts if not account.of_other_models]
    table = Table("line", "setting", "value", "became", box=None)
    for column in table.columns:
        column.overflow = "fold"
    for account in own:
        fate = account.became or f"- ({account.reason})"
        table.add_row(str(account.line), escape(account.setting), escape(account.value), escape(fate))
    console.print(table)
    others = len(imported.accounts) - len(own)
    if others:
        console.print(f"note: {others} settings are of other models, and not used")
    for note in imported.notes:
        console.print(f"note: {escape(note)}")
