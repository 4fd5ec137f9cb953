"""asim-plan: choose the settings of every site for an accuracy or a budget, and write them as a spec."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from asim_fx.cli.interrupts import ending_at_interrupt
from asim_fx.cli.outputs import refuse_lost
from asim_fx.cli.shared_options import (
    BalancedOption,
    BatchOption,
    CalibrateOption,
    CalibSamplesOption,
    CalibSplitOption,
    CheckpointOption,
    ClassesOption,
    DataDirOption,
    DataOption,
    DeviceOption,
    FoldOption,
    JsonOption,
    KwargsOption,
    ModelArgument,
    PretrainedOption,
    SamplesOption,
    SeedOption,
    SeedsOption,
    SizeOption,
    SpecArgument,
    SplitOption,
    nothing_to_calibrate,
)
from asim_fx.cli.simulate import parse_seeds
from asim_fx.cli.streams import write_document
from asim_fx.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import RenderableType

    from asim_fx.exploration.findings import Findings
    from asim_fx.exploration.planner import Measured, Plan
    from asim_fx.simulation.metrics import Estimate
    from asim_fx.spec import HardwareSpec

HELP = """Choose settings for every analog site of MODEL on the hardware of SPEC.

Measures how noisy each option makes each site and how much each site matters.
Then it chooses encoding, digital levels (HCiM), votes and converter bits for
each site: either the least cost that keeps a --floor of accuracy, or the best
accuracy within a --budget. Whole plans are simulated before one is accepted.
-o FILE writes an ordinary spec; its rules say why each setting was chosen.

Half of the images (every second one) are used to choose, the other half to
report the result. --choose-split NAME chooses on another part of the data and
reports on all of --split. Digital work costs no conversions: --hybrid limits
how much of it the chip may do."""


def plan(
    model: ModelArgument,
    spec: SpecArgument,
    data: DataOption,
    floor: Annotated[
        str | None,
        typer.Option(metavar="F", help="accuracy=97.5 (%), or drop=0.5 (points below the ideal integer model)."),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(metavar="B", help="conversions=0.6x (of the spec's own), conversions=500000, energy=2e-6 (J)."),
    ] = None,
    minimise: Annotated[str, typer.Option(metavar="COST", help="For a floor: conversions or energy.")] = "conversions",
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the spec here.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace FILE if it exists.")] = False,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="A.B=V", help="Change a field of the spec first. Repeatable.")
    ] = None,
    encodings: Annotated[str, typer.Option(metavar="N,N", help="Input bits per read to choose from.")] = "1,2,4",
    hybrid: Annotated[str, typer.Option(metavar="N,N", help="Digital levels to choose from.")] = "0,2,3",
    votes: Annotated[
        str, typer.Option(metavar="LxS,LxS", help="Voted levels x reads of each, to choose from; 0: no votes.")
    ] = "0,1x3,2x3,3x3,4x3,5x3,6x3",
    adc_bits: Annotated[
        str | None, typer.Option(metavar="N,N", help="Converter bits to choose from. Default: the spec's own.")
    ] = None,
    seeds: SeedsOption = "0:3",
    data_dir: DataDirOption = None,
    split: SplitOption = "validation",
    choose_split: Annotated[
        str | None, typer.Option(metavar="NAME", help="Part of the data to choose on. Default: half of --split.")
    ] = None,
    batch_size: BatchOption = 64,
    num_samples: SamplesOption = None,
    balanced: BalancedOption = False,
    calibrate: CalibrateOption = None,
    calib_samples: CalibSamplesOption = 256,
    calib_split: CalibSplitOption = "train",
    probe_samples: Annotated[
        int,
        typer.Option(
            metavar="N", min=1, help="Images to measure single sites with; options are measured on a quarter."
        ),
    ] = 128,
    checkpoint: CheckpointOption = None,
    pretrained: PretrainedOption = False,
    num_classes: ClassesOption = None,
    input_size: SizeOption = None,
    model_kwargs: KwargsOption = None,
    fold_batch_norm: FoldOption = True,
    device: DeviceOption = "cpu",
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Choose the settings of every site for an accuracy or a budget."""
    from asim_fx.exploration.options import Choices, parse_counts, parse_goal, parse_votes
    from asim_fx.spec.document import asks_for_calibration
    from asim_fx.spec.loader import load_spec

    goal = parse_goal(budget, floor, minimise)
    choices = Choices(
        parse_counts("--encodings", encodings, 1, 16),
        parse_counts("--hybrid", hybrid, 0, 30),
        parse_votes(votes),
        () if adc_bits is None else parse_counts("--adc-bits", adc_bits, 1, 24),
    )
    choices.options()  # refuses lists that leave none
    numbers = parse_seeds(seeds)
    base = load_spec(spec, set_ or ())
    if calibrate is not None and not asks_for_calibration(base):
        raise nothing_to_calibrate()
    if overwrite and output is None:
        message = "--overwrite needs -o"
        raise UsageError(message)
    if output is not None:
        _check_output(output, base)
        here = Path(base.origin.name)
        read = [here, *(here.parent / name for name in base.files), *([] if checkpoint is None else [checkpoint])]
        refuse_lost(output, [*read, Path(model)], overwrite=overwrite)

    from asim_fx.cli.console import progress_bar

    with ending_at_interrupt("interrupted; nothing was written"), progress_bar() as bar:
        task = bar.add_task("capturing the model", total=None)
        from asim_fx.cli.work.calibrating import CalibrationOptions
        from asim_fx.cli.work.exploring import DataOptions, Question, open_workbench
        from asim_fx.cli.work.planning import ModelOptions
        from asim_fx.exploration.findings import measure_sites
        from asim_fx.exploration.planner import make_plan

        options = ModelOptions(
            checkpoint=checkpoint,
            pretrained=pretrained,
            num_classes=num_classes,
            input_size=input_size,
            model_kwargs=tuple(model_kwargs or ()),
            device=device,
            seed=seed,
        )
        images = DataOptions(data, data_dir, split, batch_size, num_samples, balanced)
        calibration = None if calibrate is None else CalibrationOptions(calibrate, calib_split, calib_samples, data_dir)
        question = Question(model, options, base, images, numbers, calibration, fold_batch_norm)
        bench = open_workbench(question, choose_split)

        def tell(what: str) -> None:
            bar.update(task, advance=1, description=what)

        findings = measure_sites(bench, choices, probe_samples, tell)
        found = make_plan(bench, findings, goal, tell)
    if output is not None:
        images_named = f"--calibrate {calibrate} --calib-samples {calib_samples} --calib-split {calib_split}"
        _write(found, output, "" if calibrate is None else images_named)
    if as_json:
        write_document(json.dumps(_document(found, findings), indent=2) + "\n")
    else:
        _show(found, findings, bench.analysed.name, base.name, len(bench.choosing), len(bench.reporting))
    if output is not None:
        from asim_fx.cli.console import stderr

        stderr().print(f"wrote {output}", markup=False)


_SUFFIX = "-planned"
"""Of the name of the spec that is written."""
_IDEAL = "ideal integer model"


def _check_output(output: Path, base: HardwareSpec) -> None:
    """Refuse early what would fail after minutes: measured files are named relative to the spec that names them."""
    if base.files and output.resolve().parent != Path(base.origin.name).resolve().parent:
        message = f"{base.origin.name} names measured files beside it, which {output} would not find"
        raise UsageError(message, hint="write the plan into the folder of that spec")
    if output.is_dir():
        message = f"{output} is a folder; -o takes the name of the spec to write"
        raise UsageError(message)


def _write(found: Plan, output: Path, calibration: str) -> None:
    from asim_fx.files import write_atomically
    from asim_fx.spec.document import complete_document, to_yaml

    lines = ["# Made by asim-plan. Top-1 on the images to choose on; on the others, which nothing was chosen on:"]
    lines += [
        f"#   {one.name}: {one.chosen_on:.2f} %; {_accuracy(one.reported_on)} %, {one.conversions:,} conversions"
        for one in found.measured
    ]
    lines += [f"#   {_IDEAL}: {found.ideal_chosen_on:.2f} %; {_accuracy(found.ideal)} %"]
    lines += [f"# Asked for on the images to choose on: {found.goal}"]
    lines += [f"# {note}" for note in found.notes]
    lines += [f"# Scales and windows were chosen with: asim-convert {calibration}"] if calibration else []
    document = complete_document(found.spec)
    document["name"] = f"{found.spec.name.removesuffix(_SUFFIX)}{_SUFFIX}"
    write_atomically(output, "\n".join(lines) + "\n" + to_yaml(document))


def _document(found: Plan, findings: Findings) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "goal": found.goal,
        "cost": found.cost,
        "sites": [
            {
                "name": site,
                **asdict(option),
                "conversions": findings.conversions[findings.options.index(option)][site],
                "share_of_damage": found.damage[site],
                "sensitivity": findings.sensitivity[site],
            }
            for site, option in found.options.items()
        ],
        "measured": [asdict(one) for one in found.measured],
        "ideal_integer": {"chosen_on": found.ideal_chosen_on, "reported_on": asdict(found.ideal)},
        "notes": list(found.notes),
    }


def _show(found: Plan, findings: Findings, model: str, spec: str, choosing: int, reporting: int) -> None:
    from asim_fx.cli.console import stdout

    console = stdout()
    console.print(f"[bold]{model}[/] on [bold]{spec}[/]; {found.goal}")
    console.print(_sites_table(found, findings, console.width))
    console.print(_comparison(found, console.width))
    console.print(f"chosen on {choosing} images, reported on {reporting} others")
    rows = {one.name: one.reported_on for one in found.measured} | {_IDEAL: found.ideal}
    console.print(f"in brackets: {_intervals(rows)}")
    for note in found.notes:
        console.print(f"note: {note}", markup=False)


def _sites_table(found: Plan, findings: Findings, width: int) -> RenderableType:
    from asim_fx.report.fitting import Column, fitted_table

    sites = list(found.options)
    reads = [findings.conversions[findings.options.index(found.options[site])][site] for site in sites]
    columns = [
        Column("site", sites, least=16),
        Column("setting", [str(found.options[site]) for site in sites], least=20),
        Column("conversions", [f"{count:,}" for count in reads], right=True, total=f"{sum(reads):,}"),
        Column("share of damage", [f"{found.damage[site]:.1%}" for site in sites], 1, right=True),
    ]
    return fitted_table(columns, width, elsewhere="a wider terminal or --json shows them")


def _comparison(found: Plan, width: int) -> RenderableType:
    """Return the plan beside other hardware: with what it saves of the cost for a floor, with what it gains else."""
    from asim_fx.report.fitting import Column, fitted_table

    own, *others = found.measured
    compared = [_saved(own, one, found.cost) if found.has_floor else _gained(own, one) for one in others]
    columns = [
        Column("", [*(one.name for one in found.measured), _IDEAL], least=20),
        Column(
            "top-1 %",
            [*(_accuracy(one.reported_on) for one in found.measured), _accuracy(found.ideal)],
            right=True,
            least=len("(100.0-100.0)"),
        ),
        Column("conversions", [*(f"{one.conversions:,}" for one in found.measured), ""], right=True),
        Column(
            f"plan saves {found.cost}" if found.has_floor else "plan gains, points",
            ["", *compared, ""],
            1,
            right=True,
        ),
        Column("energy, uJ", [*map(_micro, found.measured), ""], 2, right=True),
    ]
    return fitted_table(columns, width, elsewhere="a wider terminal or --json shows them")


def _intervals(rows: Mapping[str, Estimate]) -> str:
    """Say what the 95 % intervals are over: of each row where they differ, as where one row has no spread."""
    kinds: dict[str, list[str]] = {}
    for name, estimate in rows.items():
        kinds.setdefault(estimate.interval, []).append(name)
    if len(kinds) == 1:
        return f"95 % interval over {next(iter(kinds))}"
    return "95 % interval over " + "; ".join(f"{kind} ({', '.join(names)})" for kind, names in kinds.items())


def _saved(own: Measured, other: Measured, cost: str) -> str:
    """Return which share of the cost of other hardware a plan saves."""
    mine, theirs = (one.energy_j if cost == "energy" else one.conversions for one in (own, other))
    return f"{1 - mine / theirs:.1%}" if mine is not None and theirs else ""


def _gained(own: Measured, other: Measured) -> str:
    return f"{own.reported_on.mean - other.reported_on.mean:+.2f}"


def _micro(one: Measured) -> str:
    from asim_fx.report.words import UNKNOWN

    return UNKNOWN if one.energy_j is None else f"{one.energy_j * 1e6:.4g}"


def _accuracy(estimate: Estimate) -> str:
    return f"{estimate.mean:.2f} ({estimate.low:.1f}-{estimate.high:.1f})"
