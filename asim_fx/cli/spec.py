"""asim-spec: the hardware specs that ship, what is in one, whether a file is valid, and what its rules can match."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from asim_fx.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import JustifyMethod
    from rich.table import Table

    from asim_fx.ir import OpSite
    from asim_fx.spec.schema import HardwareSpec, Macro

HELP = "Hardware specs: list, show and check them, and see what their rules can match."

app = typer.Typer(name="asim-spec", help=HELP, no_args_is_help=True)

SpecSource = Annotated[
    str, typer.Argument(metavar="SPEC", help="A shipped name, or a path to YAML.", show_default=False)
]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="A.B=V", help="Change a field of the spec. Repeatable.")
]

_WRAPPED = {"description", "noise, % of full scale", "also"}
_PIPE_WIDTH = 1000
"""A pipe has no edge to wrap at; a table is as wide as its words."""


@app.command("list")
def list_specs(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the hardware specs that ship with asim-fx."""
    from asim_fx.spec.loader import load_spec, shipped_names

    specs = [load_spec(name) for name in shipped_names()]
    if as_json:
        rows = [{"name": spec.name, "description": spec.description, "macros": list(spec.macros)} for spec in specs]
        typer.echo(json.dumps(rows, indent=2))
        return
    table = _table("name", "rows", "ADC", "noise, % of full scale", "description")
    for spec in specs:
        macros = spec.macros.values()
        table.add_row(
            spec.name,
            "\n".join(str(macro.rows) for macro in macros),
            "\n".join(_adc_in_words(macro) for macro in macros),
            "\n".join(_noise_in_words(macro) for macro in macros),
            spec.description,
        )
    _print(table)


@app.command()
def show(
    source: SpecSource,
    overrides: Overrides = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of YAML.")] = False,
) -> None:
    """Print a spec with every field, those left to their defaults too."""
    from asim_fx.spec.document import complete_document, to_yaml
    from asim_fx.spec.loader import load_spec

    document = complete_document(load_spec(source, overrides or ()))
    typer.echo(json.dumps(document, indent=2) if as_json else to_yaml(document), nl=as_json)


@app.command()
def check(source: SpecSource, overrides: Overrides = None) -> None:
    """Check a spec; print what it says in short, or everything that is wrong with it."""
    from asim_fx.spec.loader import load_spec

    spec = load_spec(source, overrides or ())
    typer.echo(f"{spec.origin.name}: ok")
    for line in _summary(spec):
        typer.echo(f"  {line}")


@app.command("schema")
def print_schema() -> None:
    """Print the JSON schema of a spec, for editors."""
    from asim_fx.spec.json_schema import schema

    typer.echo(json.dumps(schema(), indent=2))


@app.command()
def sites(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A timm name, torchvision:NAME, asim:NAME, pkg.module:factory or FILE.pt2.",
            show_default=False,
        ),
    ],
    name: Annotated[
        str | None, typer.Option(metavar="GLOB", help="Only sites that this name selector matches.")
    ] = None,
    op: Annotated[str | None, typer.Option(metavar="OP", help="Only conv, linear, qk, av or matmul.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    num_classes: Annotated[int | None, typer.Option(metavar="N", min=0, help="Outputs of the classifier.")] = None,
    input_size: Annotated[
        tuple[int, int, int] | None, typer.Option(metavar="C H W", help="Channels, height, width of an image.")
    ] = None,
    model_kwargs: Annotated[
        list[str] | None, typer.Option(metavar="K=V", help="Argument of the model's constructor. Repeatable.")
    ] = None,
) -> None:
    """List the names of a model that rules can match, with all that `where` can ask for."""
    is_selected = _selection(name, op)
    from asim_fx.cli.work.planning import ModelOptions, list_sites

    options = ModelOptions(num_classes=num_classes, input_size=input_size, model_kwargs=tuple(model_kwargs or ()))
    found = [site for site in list_sites(model, options) if is_selected(site)]
    if as_json:
        typer.echo(json.dumps([_site_record(site) for site in found], indent=2))
        return
    table = _table("name", "op", "k", "n", "groups", "kernel", "stride", "MACs", "also")
    for site in found:
        record = _site_record(site)
        table.add_row(
            *(str(record[column]) for column in ("name", "op", "k", "n", "groups", "kernel", "stride")),
            f"{site.macs:,}",
            " ".join(sorted(site.aliases)),
        )
    _print(table)


def _selection(name: str | None, op: str | None) -> Callable[[OpSite], bool]:
    """Return a test of a site, made of the same selectors that rules have."""
    from pydantic import ValidationError

    from asim_fx.rules import matches
    from asim_fx.spec.schema import Match

    try:
        match = Match.model_validate({"name": name, "op": op})
    except ValidationError as error:
        first = error.errors()[0]
        option = first["loc"][0]
        reason = first["ctx"]["error"] if first["type"] == "value_error" else "known are conv, linear, qk, av, matmul"
        message = f"--{option} {name if option == 'name' else op}: {reason}"
        raise UsageError(message) from error
    return lambda site: matches(match, site)


def _site_record(site: OpSite) -> dict[str, object]:
    geometry = site.geometry
    return {
        "name": site.label,
        "op": site.kind.value,
        "k": site.k,
        "n": site.n,
        "groups": site.groups,
        "kernel": "x".join(map(str, geometry.kernel)) if geometry else "",
        "stride": "x".join(map(str, geometry.stride)) if geometry else "",
        "depthwise": site.depthwise,
        "macs": site.macs,
        "aliases": sorted(site.aliases),
    }


def _table(*columns: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    for column in columns:
        justify: JustifyMethod = "right" if column in {"rows", "k", "n", "groups", "MACs"} else "left"
        table.add_column(column, justify=justify, no_wrap=column not in _WRAPPED)
    return table


def _print(table: Table) -> None:
    from asim_fx.cli.console import stdout

    console = stdout()
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    console.print(table)


def _adc_in_words(macro: Macro) -> str:
    return "ideal" if macro.adc.bits == "ideal" else f"{macro.adc.bits} bits"


def _noise_in_words(macro: Macro) -> str:
    random, nonlinear = macro.noise.random_percent_fs, macro.noise.nonlinear_percent_fs
    parts = [f"{random:g} random"] * (random > 0) + [f"{nonlinear:g} nonlinear"] * (nonlinear > 0)
    return ", ".join(parts) or "none"


def _summary(spec: HardwareSpec) -> list[str]:
    defaults, hybrid, vote = spec.defaults, spec.defaults.hybrid, spec.defaults.vote
    lines = [f"{spec.name}: {spec.description}" if spec.description else spec.name]
    lines += [
        f"macro {name}: {macro.rows} rows, {macro.columns} columns, "
        f"ADC {_adc_in_words(macro)}, noise {_noise_in_words(macro)}"
        for name, macro in spec.macros.items()
    ]
    bits = f"weight {defaults.weight_bits} bits, input {defaults.input_bits} bits, {defaults.input_encoding} per read"
    lines.append(f"defaults: {defaults.target}, {bits}, hybrid levels {hybrid.levels}, vote levels {vote.levels}")
    lines.append(f"rules: {len(spec.rules)}")
    return lines
