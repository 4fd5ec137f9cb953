"""asim-simulate: measure the accuracy of a converted model on labelled images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asim_fx.cli.convert import EngineOption
from asim_fx.cli.interrupts import ending_at_interrupt
from asim_fx.cli.shared_options import BalancedOption
from asim_fx.cli.streams import write_document
from asim_fx.errors import UsageError
from asim_fx.sharding import joined, shard_of_environment

if TYPE_CHECKING:
    from rich.console import RenderableType

    from asim_fx.simulation import SimulationResult
    from asim_fx.simulation.metrics import Estimate

HELP = """Measure the accuracy of the converted model in DIR (asim-convert -o DIR).

Prints top-1 and top-5 of the float model (with --baseline), of the ideal
integer model and of the simulated hardware, with 95 % intervals: over dies or
seeds where there are several, over images otherwise. --dies N simulates N
chips: mismatch is fixed for each, noise is fresh at each read.

--probe measures each layer instead: which one is furthest from the float
model, from its own errors and from all before it.

--data is `digits`, a folder with a sub-folder for each class, or a data set
of timm (torch/cifar10, hfds/NAME, wds/PATTERN).

Several processes share the batches, and the result is that of one:
torchrun --nproc-per-node=2 -m asim_fx simulate DIR --data SOURCE"""

_NAMES = {"float": "float model", "integer": "ideal integer model", "hardware": "simulated hardware"}
_ESTIMATE_WIDTH = len("(100.0-100.0)")
"""An estimate and its interval may stand in two lines."""


def simulate(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The converted model.", show_default=False)],
    data: Annotated[str, typer.Option(metavar="SOURCE", help="The images.", show_default=False)],
    data_dir: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where a named data set lies, or is put.")
    ] = None,
    split: Annotated[str, typer.Option(metavar="NAME", help="Part of the data.")] = "validation",
    batch_size: Annotated[int, typer.Option("--batch-size", "-b", metavar="N", min=1, help="Images in a batch.")] = 64,
    workers: Annotated[
        int, typer.Option("--workers", "-j", metavar="N", min=0, help="Processes that decode images.")
    ] = 2,
    num_samples: Annotated[int | None, typer.Option(metavar="N", min=1, help="Take only the first N images.")] = None,
    balanced: BalancedOption = False,
    seeds: Annotated[str, typer.Option(metavar="S", help="Of the noise: 0:5 is 0 to 4; also 3, or 0,2,5.")] = "0",
    dies: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Simulate N chips, each with every seed, and show how they spread."),
    ] = None,
    baseline: Annotated[bool, typer.Option("--baseline", help="Run the float model too.")] = False,
    device: Annotated[str, typer.Option(metavar="D", help="cpu, cuda, cuda:1, mps.")] = "cpu",
    engine: Annotated[
        EngineOption | None, typer.Option(help="In place of the spec's: the same bits, at another speed.")
    ] = None,
    results_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write each finished batch as a line of JSON.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what the results file holds.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Throw away what the results file holds.")] = False,
    model: Annotated[
        str | None,
        typer.Option(metavar="PKG.MODULE:FACTORY", help="The original model, where it came from your own code."),
    ] = None,
    model_kwargs: Annotated[
        list[str] | None, typer.Option(metavar="K=V", help="Argument of that factory. Repeatable.")
    ] = None,
    probe: Annotated[
        bool,
        typer.Option("--probe", help="Measure SQNR and CSNR of each site, on 64 images or --num-samples."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Measure the accuracy of a converted model."""
    numbers = parse_seeds(seeds)
    shard = shard_of_environment()
    if probe:
        from asim_fx.cli.probe import ProbeRequest, SourceOptions, check_options, run_probe

        check_options(results_file, dies=dies, baseline=baseline, resume=resume, overwrite=overwrite, shard=shard)
        source_options = SourceOptions(data, data_dir, split, batch_size, workers, num_samples, balanced)
        request = ProbeRequest(
            directory=directory,
            model=model,
            model_kwargs=tuple(model_kwargs or ()),
            source=source_options,
            seeds=numbers,
            device=device,
            engine=None if engine is None else engine.value,
            results_file=results_file,
            as_json=as_json,
        )
        run_probe(request)
        return
    if shard.leads:
        _check_results_options(results_file, resume=resume, overwrite=overwrite)
    from asim_fx.cli.console import progress_bar, stdout

    with progress_bar(shown=shard.leads) as bar, joined(shard):
        task = bar.add_task("loading", total=None)
        from asim_fx.cli.work.loading import load_artifact
        from asim_fx.data import open_data
        from asim_fx.models.devices import resolve_device
        from asim_fx.simulation import simulate as run

        target = resolve_device(device, shard.local_rank)
        loaded = load_artifact(directory, model, model_kwargs or ())
        if engine is not None:
            loaded.converted.set_engine(engine.value)
        source = open_data(
            data,
            config=loaded.data_config,
            data_dir=data_dir,
            split=split,
            batch_size=batch_size,
            workers=workers,
            num_samples=num_samples,
            balanced=balanced,
        )
        with ending_at_interrupt(*_words_of_interrupt(results_file)):
            result = run(
                loaded.converted,
                source,
                seeds=numbers,
                dies=dies,
                baseline=baseline,
                device=target,
                results_file=results_file,
                resume=resume,
                overwrite=overwrite,
                progress=lambda done, total: bar.update(task, description="simulating", completed=done, total=total),
                shard=shard,
            )
    if not shard.leads:
        return
    if as_json:
        write_document(json.dumps(result.to_json(), indent=2) + "\n")
    else:
        console = stdout()
        console.print(f"[bold]{result.model}[/] on [bold]{result.spec}[/]; {result.data}; {result.device}")
        console.print(result_table(result, console.width))
        for line in die_lines(result):
            console.print(line)


def parse_seeds(text: str) -> tuple[int, ...]:
    """Return the seeds that ``0:5`` (0 to 4), ``3`` or ``0,2,5`` means, each once.

    Raises:
        UsageError: it means none.
    """
    seeds: list[int] = []
    for part in text.split(","):
        first, colon, end = part.partition(":")
        try:
            seeds += range(int(first or 0), int(end)) if colon else [int(part)]
        except ValueError as error:
            msg = f"--seeds: {text!r} is no list of seeds"
            raise UsageError(msg, hint="for example 0:5 (0 to 4), 3, or 0,2,5") from error
    if not seeds or min(seeds) < 0:
        msg = f"--seeds: {text!r} holds no seed, or one below 0"
        raise UsageError(msg, hint="for example 0:5 (0 to 4), 3, or 0,2,5")
    return tuple(dict.fromkeys(seeds))


def result_table(result: SimulationResult, width: int) -> RenderableType:
    """Return one line for each variant, and what the intervals are; in lines of at most ``width`` characters."""
    from rich.console import Group
    from rich.text import Text

    from asim_fx.report.fitting import Column, fitted_table, fold

    variants = result.variants
    top5 = ["" if variant.top5 is None else _estimate(variant.top5) for variant in variants]
    columns = [
        Column("", [_NAMES[variant.variant] for variant in variants], least=9),
        Column("top-1 %", [_estimate(variant.top1) for variant in variants], right=True, least=_ESTIMATE_WIDTH),
        Column("top-5 %", top5, 1, right=True, least=_ESTIMATE_WIDTH),
        Column("images/s", [f"{variant.images_per_second:.1f}" for variant in variants], 2, right=True),
    ]
    table = fitted_table(columns, width, elsewhere="a wider terminal or --json shows them")
    return Group(table, Text(fold(_intervals(result), min(width, 78)), style="dim italic"))


def die_lines(result: SimulationResult) -> list[str]:
    """Return how the accuracy spreads over chips, in words; empty where no dies were asked for."""
    return [
        f"top-1 % over {spread.dies} dies: mean {spread.mean:.2f}, worst {spread.worst:.2f}, "
        f"5 % below {spread.percentile_5:.2f}, median {spread.median:.2f}, 95 % below {spread.percentile_95:.2f}"
        for variant in result.variants
        if (spread := variant.over_dies) is not None
    ]


def _estimate(estimate: Estimate) -> str:
    return f"{estimate.mean:.2f} ({estimate.low:.1f}-{estimate.high:.1f})"


def _intervals(result: SimulationResult) -> str:
    """Say what the intervals in brackets are over, once for all variants that share it."""
    shared: dict[str, list[str]] = {}
    for variant in result.variants:
        name = _NAMES[variant.variant]
        if variant.top5 is None or variant.top5.interval == variant.top1.interval:
            shared.setdefault(variant.top1.interval, []).append(name)
        else:  # seeds may agree on one and not on the other
            shared.setdefault(variant.top1.interval, []).append(f"{name}, top-1")
            shared.setdefault(variant.top5.interval, []).append(f"{name}, top-5")
    if len(shared) == 1:
        return f"in brackets: 95 % interval over {next(iter(shared))}"
    return "in brackets: 95 % interval over " + "; over ".join(
        f"{over} ({', '.join(who)})" for over, who in shared.items()
    )


def _check_results_options(results_file: Path | None, *, resume: bool, overwrite: bool) -> None:
    """Say at once what would otherwise be said after the model was loaded."""
    if results_file is None:
        if resume or overwrite:
            msg = f"{'--resume' if resume else '--overwrite'} needs --results-file"
            raise UsageError(msg)
        return
    if resume and overwrite:
        msg = "--resume and --overwrite exclude each other"
        raise UsageError(msg)
    from asim_fx.simulation.journal import check_unused

    check_unused(results_file, resume=resume, overwrite=overwrite)


def _words_of_interrupt(results_file: Path | None) -> tuple[str, str]:
    """Return what an interrupted user is told, and what to do then: each finished batch is in the file at once."""
    if results_file is None:
        return "interrupted; nothing is kept", "--results-file FILE keeps finished batches"
    return f"interrupted; the finished batches are in {results_file}", "the same command with --resume goes on"
