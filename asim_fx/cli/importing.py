"""asim-import: configurations and weights of the published ASiM simulator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asim_fx.cli.outputs import refuse_lost
from asim_fx.cli.streams import write_document

if TYPE_CHECKING:
    from rich.console import Console

    from asim_fx.importing.config import ImportedConfig

OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace the file of -o if it exists.")]

HELP = "Import what was made for the published ASiM simulator: its configurations and its weights."

app = typer.Typer(name="asim-import", help=HELP, no_args_is_help=True)


@app.command("config")
def import_config_file(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Its config.py, which is parsed and never run.", show_default=False)
    ],
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="SPEC", help="Write the spec here.")] = None,
    overwrite: OverwriteOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print spec and account as JSON.")] = False,
) -> None:
    """Turn a configuration into a hardware spec, and account for each of its settings.

    The spec goes to -o, or to stdout, the account then to stderr.
    """
    from asim_fx.cli.console import stderr, stdout
    from asim_fx.files import write_atomically
    from asim_fx.importing.config import import_config
    from asim_fx.importing.config_file import read_config

    if output is not None:
        refuse_lost(output, [file], overwrite=overwrite)
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


@app.command("checkpoint")
def import_checkpoint_file(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Its .pkl, read without running code.", show_default=False)
    ],
    model: Annotated[
        str,
        typer.Option(
            metavar="MODEL",
            help="The same network here: asim:resnet18_cifar, torchvision:vit_b_32, resnet18 of timm ...",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="OUT", help="Write safetensors here.", show_default=False)
    ],
    overwrite: OverwriteOption = False,
    num_classes: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Outputs of the classifier; by default the file's.")
    ] = None,
    model_kwargs: Annotated[
        list[str] | None,
        typer.Option(metavar="K=V", help="Argument of the model's constructor: pact=True. Repeatable."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")] = False,
) -> None:
    """Turn the weights of a ResNet, VGG or ViT into those of the same network here."""
    from asim_fx.cli.console import stages, stdout

    refuse_lost(output, [file], overwrite=overwrite)
    with stages(total=1) as begin:
        begin("importing torch")
        from asim_fx.cli.work.importing import import_checkpoint

        imported = import_checkpoint(file, model, output, num_classes, model_kwargs or ())
    if as_json:
        record = {
            "file": str(output),
            "tensors": len(imported.tensors),
            "bounds": dict(imported.bounds),
            "notes": list(imported.notes),
        }
        write_document(json.dumps(record, indent=2) + "\n")
        return
    console = stdout()
    console.print(f"{output}: {len(imported.tensors)} tensors for {model}", soft_wrap=True, markup=False)
    for name, bound in imported.bounds.items():
        console.print(f"bound: {name} {bound:.4g}", soft_wrap=True, markup=False)
    for note in imported.notes:
        console.print(f"note: {note}", soft_wrap=True, markup=False)


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
