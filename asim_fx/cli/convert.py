"""asim-convert: compile a model onto a hardware spec, and show how each layer was mapped."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asim_fx.cli.bulk import is_pattern
from asim_fx.cli.interrupts import raising_interrupts
from asim_fx.cli.shared_options import CalibrateOption, CalibSamplesOption, CalibSplitOption
from asim_fx.cli.streams import write_document
from asim_fx.errors import UsageError

if TYPE_CHECKING:
    from asim_fx.report.rows import MappingReport


class EngineOption(StrEnum):
    """What computes the simulation."""

    AUTO = "auto"
    TORCH = "torch"
    CPU = "cpu"
    CUDA = "cuda"


HELP = """Compile MODEL onto the hardware of SPEC, and show how each layer was mapped.

MODEL is a timm name (resnet50), torchvision:NAME, pkg.module:factory, a
model that ships inside (asim:digits_resnet), or a .pt2 file of torch.export.
A pattern, 'vit_*' or 'torchvision:*', plans every model that it matches.
SPEC is the name of a shipped spec (`asim-spec list`) or a path to YAML.

Without -o everything runs and is reported, and nothing is written."""


class ReportFormat(StrEnum):
    """How the report is printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    MD = "md"
    HTML = "html"


def convert(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="What to convert.", show_default=False)],
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="The hardware.", show_default=False)],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Write the converted model here.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only plan: stop before the model is lowered.")] = False,
    report: Annotated[ReportFormat, typer.Option(help="How to print the report.")] = ReportFormat.TABLE,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="A.B=V", help="Change a field of the spec. Repeatable.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="A site that cannot be mapped is an error.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check that the lowered graph still computes the model.")
    ] = False,
    fold_batch_norm: Annotated[bool, typer.Option(help="Fold batch norms into the layer before.")] = True,
    checkpoint: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Weights: .safetensors, or a torch file without code.")
    ] = None,
    pretrained: Annotated[bool, typer.Option("--pretrained", help="Download the library's own weights.")] = False,
    num_classes: Annotated[int | None, typer.Option(metavar="N", min=0, help="Outputs of the classifier.")] = None,
    input_size: Annotated[
        tuple[int, int, int] | None, typer.Option(metavar="C H W", help="Channels, height, width of an image.")
    ] = None,
    model_kwargs: Annotated[
        list[str] | None, typer.Option(metavar="K=V", help="Argument of the model's constructor. Repeatable.")
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            metavar="D",
            help="cpu (the default), cuda, cuda:1, mps; with --dry-run also meta: no values, only shapes. Large models "
            "are planned so unless this says otherwise.",
        ),
    ] = None,
    calibrate: CalibrateOption = None,
    calib_samples: CalibSamplesOption = 256,
    calib_split: CalibSplitOption = "train",
    data_dir: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where a named data set for --calibrate lies.")
    ] = None,
    engine: Annotated[
        EngineOption | None, typer.Option(help="What computes the simulation; the same bits from each.")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Of the noise, the die and random weights.")] = 0,
    results_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="CSV with one row a model, for a pattern; a run goes on with it."),
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", metavar="N", min=1, help="Models of a pattern at a time.")] = 1,
) -> None:
    """Compile a model onto a hardware spec."""
    if dry_run and output is not None:
        message = "--dry-run writes nothing, so it does not go with -o"
        raise UsageError(message)
    if dry_run and verify:
        message = "--dry-run lowers nothing, so there is nothing to --verify"
        raise UsageError(message)
    if dry_run and calibrate is not None:
        message = "--dry-run lowers nothing, so there is nothing to --calibrate"
        raise UsageError(message)
    if device == "meta" and not dry_run:
        message = "on --device meta a model has no values: it can be planned, not converted"
        raise UsageError(message, hint="add --dry-run, or leave out --device")
    bulk = is_pattern(model) and not model.endswith(".pt2")
    if bulk and (not dry_run or checkpoint is not None or report is not ReportFormat.TABLE):
        message = "several models can only be planned: with --dry-run, and without --checkpoint or --report"
        raise UsageError(message, hint="--results-file FILE keeps one row for each")
    if results_file is not None and not bulk:
        message = "--results-file is for several models; the report of one goes to stdout"
        raise UsageError(message, hint="give a pattern such as 'vit_*' for MODEL, or --report csv")
    from asim_fx.cli.console import stages

    with stages(total=1) as begin:
        begin("importing torch")
        from asim_fx.cli.work.calibrating import CalibrationOptions, calibrate_on, refuse_uncalibrated
        from asim_fx.cli.work.planning import ConversionOptions, ModelOptions, convert_model, plan_model

    options = ModelOptions(
        checkpoint=checkpoint,
        pretrained=pretrained,
        num_classes=num_classes,
        input_size=input_size,
        model_kwargs=tuple(model_kwargs or ()),
        device=device,
        seed=seed,
    )
    overrides = (*(set_ or ()), *([f"engine={engine.value}"] if engine else []))
    conversion = ConversionOptions(
        overrides=overrides,
        strict=strict,
        verify=verify,
        fold_batch_norm=fold_batch_norm,
    )
    if bulk:
        from asim_fx.cli.bulk import plan_many

        plan_many(model, spec, options, conversion, results_file, jobs)
        return
    with stages(total=8) as begin:
        if dry_run:
            result = plan_model(model, spec, options, conversion, begin).report
        else:
            converted = convert_model(model, spec, options, conversion, begin)
            result = converted.report
            if calibrate is not None:
                begin("calibrating")
                calibrate_on(converted, CalibrationOptions(calibrate, calib_split, calib_samples, data_dir))
                result = converted.report
            if output is not None:
                refuse_uncalibrated(converted)
                begin("writing")
                with raising_interrupts():
                    converted.save(output)
    print_as(result, report)
    if output is not None:
        from asim_fx.cli.console import stderr

        stderr().print(f"wrote {output}", markup=False)


def print_as(report: MappingReport, how: ReportFormat) -> None:
    """Print a report in the form that a user chose."""
    if how is ReportFormat.TABLE:
        from asim_fx.cli.console import stdout
        from asim_fx.report.table import print_report

        print_report(report, stdout())
    else:
        from asim_fx.report.files import render

        write_document(render(report, how.value) + "\n")
