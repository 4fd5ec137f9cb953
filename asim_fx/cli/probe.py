"""The part of asim-simulate that looks at each layer: --probe."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from asim_fx.artifact_files import PROBE
from asim_fx.cli.interrupts import ending_at_interrupt
from asim_fx.cli.streams import write_document
from asim_fx.errors import OutputError, UsageError
from asim_fx.files import write_atomically
from asim_fx.sharding import Shard

if TYPE_CHECKING:
    from rich.console import RenderableType

    from asim_fx.ops.engines.choice import EngineChoice
    from asim_fx.report.fidelity import FidelityReport, SiteFidelity

DEFAULT_SAMPLES = 64
_RATIOS = (
    ("SQNR", "sqnr_db", 1),
    ("CSNR", "csnr_db", 0),
    ("both", "snr_db", 0),
    ("SQNR so far", "cumulative_sqnr_db", 3),
    ("CSNR so far", "cumulative_csnr_db", 3),
    ("both so far", "cumulative_snr_db", 2),
)
_LEGEND = (
    "dB. SQNR: ideal integers against float; CSNR: hardware against ideal integers; both: hardware against float; each "
    "at the inputs of the float model. So far: the same between whole runs, errors of earlier layers included."
)


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """Which images, as a user said it; see ``asim_fx.data.open_data``."""

    data: str
    data_dir: Path | None
    split: str
    batch_size: int
    workers: int
    num_samples: int | None
    balanced: bool


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    """What a user asked for; the fields are options of asim-simulate."""

    directory: Path
    model: str | None
    model_kwargs: tuple[str, ...]
    source: SourceOptions
    seeds: tuple[int, ...]
    device: str
    engine: EngineChoice | None
    results_file: Path | None
    as_json: bool


def check_options(
    results_file: Path | None, *, dies: int | None, baseline: bool, resume: bool, overwrite: bool, shard: Shard
) -> None:
    """Refuse what does not go with --probe.

    Raises:
        UsageError: another option is for accuracies, several processes run, or the results file exists.
    """
    wrong = [name for name, given in (("--dies", dies), ("--baseline", baseline), ("--resume", resume)) if given]
    if wrong:
        message = f"--probe measures layers, not accuracy: {wrong[0]} does not go with it"
        raise UsageError(message, hint="run it once with --probe and once without")
    if shard.count > 1:
        message = "--probe runs in one process"
        raise UsageError(message, hint="start it without torchrun")
    if overwrite and results_file is None:
        message = "--overwrite needs --results-file"
        raise UsageError(message)
    if results_file is not None and results_file.exists() and not overwrite:
        message = f"{results_file} exists"
        raise UsageError(message, hint="--overwrite replaces it")


def run_probe(request: ProbeRequest) -> None:
    """Probe, print, and keep the result: in the artifact, and in the results file where there is one."""
    from asim_fx.cli.console import stderr, stdout
    from asim_fx.report.fidelity import to_json

    with ending_at_interrupt("interrupted; nothing is kept", "--num-samples N takes fewer images"):
        report = _measure(request)
    text = to_json(report)
    if request.results_file is not None:
        write_atomically(request.results_file, text)
    try:
        write_atomically(request.directory / PROBE, text)
    except OutputError as error:
        stderr().print(f"not kept in the artifact: {error}", markup=False)
    if request.as_json:
        write_document(text)
        return
    console = stdout()
    console.print(f"[bold]{report.model}[/] on [bold]{report.spec}[/]; {report.data}; {_seeds(report.seeds)}")
    console.print(fidelity_table(report, console.width))


def _measure(request: ProbeRequest) -> FidelityReport:
    from asim_fx.cli.console import progress_bar

    with progress_bar() as bar:
        task = bar.add_task("loading", total=None)
        from asim_fx.cli.work.loading import load_artifact
        from asim_fx.data import open_data
        from asim_fx.models.devices import resolve_device
        from asim_fx.simulation.probe import probe

        target = resolve_device(request.device)
        loaded = load_artifact(request.directory, request.model, request.model_kwargs)
        if request.engine is not None:
            loaded.converted.set_engine(request.engine)
        options = request.source
        if options.num_samples is None:
            options = replace(options, num_samples=DEFAULT_SAMPLES)
        source = open_data(
            options.data,
            config=loaded.data_config,
            data_dir=options.data_dir,
            split=options.split,
            batch_size=options.batch_size,
            workers=options.workers,
            num_samples=options.num_samples,
            balanced=options.balanced,
        )

        def show(done: int, total: int | None) -> None:
            bar.update(task, description="probing", completed=done, total=total)

        return probe(loaded.converted, source, seeds=request.seeds, device=target, progress=show)


def fidelity_table(report: FidelityReport, width: int) -> RenderableType:
    """Return one line for each site in the order of the network, the worst of them marked."""
    from rich.console import Group
    from rich.text import Text

    from asim_fx.report.fitting import Column, fitted_table, fold

    worst = report.worst
    styles = ["bold red" if site is worst else "" for site in report.sites]
    names = [f"{site.site} <- worst" if site is worst else site.site for site in report.sites]
    columns = [
        Column("site", names, least=12, styles=styles),
        Column("kind", [site.kind for site in report.sites], 4, styles=styles),
        Column("target", [site.target for site in report.sites], 4, styles=styles),
        *(
            Column(title, [_decibels(site, name) for site in report.sites], rank, right=True, styles=styles)
            for title, name, rank in _RATIOS
        ),
    ]
    table = fitted_table(columns, width, elsewhere="a wider terminal or --json shows them")
    return Group(table, Text(fold(_LEGEND, min(width, 78)), style="dim italic"))


def _decibels(site: SiteFidelity, name: str) -> str:
    value: float | None = getattr(site, name)
    if value is None:
        return "no signal"
    return "exact" if value == math.inf else f"{value:.1f}"


def _seeds(seeds: tuple[int, ...]) -> str:
    return f"seed {seeds[0]}" if len(seeds) == 1 else f"{len(seeds)} seeds"
