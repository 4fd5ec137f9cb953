"""asim-spec: the hardware specs that ship, what is in one, whether a file is valid, and what its rules can match."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from asim_fx.cli.streams import write_document
from asim_fx.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from asim_fx.ir import OpSite
    from asim_fx.report.fitting import Column
    from asim_fx.spec.schema import HardwareSpec, Macro

HELP = "Hardware specs: list, show and check them, and see what their rules can match."

app = typer.Typer(name="asim-spec", help=HELP, no_args_is_help=True)

SpecSource = Annotated[
    str, typer.Argument(metavar="SPEC", help="A shipped name, or a path to YAML.", show_default=False)
]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="A.B=V", help="Change a field of the spec. Repeatable.")
]

_NOISE = "noise, % of full scale"


@app.command("list")
def list_specs(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the hardware specs that ship with asim-fx."""
    from asim_fx.report.fitting import Column
    from asim_fx.spec.loader import load_spec, shipped_names
    from asim_fx.spec.presets import (
        adc_in_words,
        geometry_in_words,
        node_in_words,
        noise_in_words,
        venue_in_words,
    )

    specs = [load_spec(name) for name in shipped_names()]
    if as_json:
        write_document(json.dumps([_spec_record(spec) for spec in specs], indent=2) + "\n")
        return
    _print_table(
        Column("name", [spec.name for spec in specs], least=12),
        Column("venue", [venue_in_words(spec) for spec in specs], 4),
        Column("node", [_lines(spec, lambda spec, name: node_in_words(spec.macros[name])) for spec in specs], 5),
        Column("rows x columns", [_lines(spec, geometry_in_words) for spec in specs]),
        Column("ADC", [_lines(spec, lambda spec, name: adc_in_words(spec.macros[name])) for spec in specs], 1),
        Column(_NOISE, [_lines(spec, noise_in_words) for spec in specs], 3, least=len(_NOISE)),
        Column("TOPS/W", [_lines(spec, _efficiency) for spec in specs], 2),
        Column("description", [spec.description for spec in specs], 6, least=40),
    )


def _lines(spec: HardwareSpec, in_words: Callable[[HardwareSpec, str], str]) -> str:
    """Return a line for each macro of a spec."""
    return "\n".join(in_words(spec, name) for name in spec.macros)


def _spec_record(spec: HardwareSpec) -> dict[str, object]:
    chip = {} if spec.chip is None else spec.chip.model_dump(include={"title", "authors", "venue", "year"})
    return {"name": spec.name, "description": spec.description, "macros": list(spec.macros), **chip}


@app.command()
def show(
    source: SpecSource,
    overrides: Overrides = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of YAML.")] = False,
) -> None:
    """Print a spec with every field, those left to their defaults too; of a published chip, first what it is."""
    from asim_fx.spec.document import complete_document, to_yaml
    from asim_fx.spec.loader import load_spec
    from asim_fx.spec.presets import explanation

    spec = load_spec(source, overrides or ())
    document = complete_document(spec)
    comments = "".join(f"# {line}\n" for line in explanation(spec))
    write_document(f"{json.dumps(document, indent=2)}\n" if as_json else comments + to_yaml(document))


@app.command()
def check(source: SpecSource, overrides: Overrides = None) -> None:
    """Check a spec; print what it says in short, or everything that is wrong with it."""
    from asim_fx.spec.loader import load_spec

    spec = load_spec(source, overrides or ())
    print(f"{spec.origin.name}: ok")
    for line in _summary(spec):
        print(f"  {line}")


@app.command("schema")
def print_schema() -> None:
    """Print the JSON schema of a spec, for editors."""
    from asim_fx.spec.json_schema import schema

    write_document(json.dumps(schema(), indent=2) + "\n")


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
    from asim_fx.report.fitting import Column

    options = ModelOptions(num_classes=num_classes, input_size=input_size, model_kwargs=tuple(model_kwargs or ()))
    found = [site for site in list_sites(model, options) if is_selected(site)]
    if as_json:
        write_document(json.dumps([_site_record(site) for site in found], indent=2) + "\n")
        return
    records = [_site_record(site) for site in found]

    def column(title: str, rank: int, right: bool = False) -> Column:
        return Column(title, [str(record[title]) for record in records], rank, right=right)

    _print_table(
        Column("name", [str(record["name"]) for record in records], least=16),
        column("op", 1),
        column("k", 4, right=True),
        column("n", 3, right=True),
        column("groups", 5, right=True),
        column("kernel", 6),
        column("stride", 7),
        Column("MACs", [f"{site.macs:,}" for site in found], 2, right=True),
        Column("also", [" ".join(sorted(site.aliases)) for site in found], 8, least=12),
    )


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


def _print_table(*columns: Column) -> None:
    from asim_fx.cli.console import stdout
    from asim_fx.report.fitting import fitted_table

    console = stdout()
    console.print(fitted_table(columns, console.width, elsewhere="a wider terminal or --json shows them"))


def _efficiency(spec: HardwareSpec, name: str) -> str:
    from asim_fx.spec.presets import best_efficiency_in_words

    return best_efficiency_in_words(spec.macros[name]).replace(" TOPS/W", "")


def _stored(macro: Macro) -> str:
    from asim_fx.encoding import CellLayout

    return "" if macro.layout == CellLayout() else f", weights {macro.layout.in_words}"


def _summary(spec: HardwareSpec) -> list[str]:
    from asim_fx.spec.presets import adc_in_words, noise_in_words

    defaults, hybrid, vote = spec.defaults, spec.defaults.hybrid, spec.defaults.vote
    lines = [f"{spec.name}: {spec.description}" if spec.description else spec.name]
    lines += [
        f"macro {name}: {macro.rows} rows, {macro.columns} columns, "
        f"ADC {adc_in_words(macro)}, noise {noise_in_words(spec, name)}{_stored(macro)}"
        for name, macro in spec.macros.items()
    ]
    bits = f"weight {defaults.weight_bits} bits, input {defaults.input_bits} bits, {defaults.input_encoding} per read"
    lines.append(f"defaults: {defaults.target}, {bits}, hybrid levels {hybrid.levels}, vote levels {vote.levels}")
    lines.append(f"rules: {len(spec.rules)}")
    return lines
