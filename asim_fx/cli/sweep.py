"""asim-sweep: measure a model on many variants of a hardware spec."""

from __future__ import annotations

from contextlib import AbstractContextManager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asim_fx.cli.interrupts import ending_at_interrupt
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
from asim_fx.cli.sweep_output import Outcome, show, write_results
from asim_fx.errors import PlanError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from asim_fx.exploration.axes import Axis, Settings
    from asim_fx.exploration.bench import Bench
    from asim_fx.exploration.cells import CellResult, Objective, Prepare, RunCells
    from asim_fx.exploration.journal import CellJournal
    from asim_fx.spec import HardwareSpec

HELP = """Measure MODEL on every variant of SPEC that the --set options make.

--set FIELD=5,6,7,8 lists values, --set FIELD=0:0.4:9 makes 9 from 0 to 0.4,
both ends included; several --set make a grid. --optuna N tries N points of it
instead, chosen for --objective.

-o DIR gets cells.jsonl with a line as soon as a cell is done, cells.csv, and
plots: accuracy against each number, Pareto fronts of accuracy against ADC
conversions and energy. After an interruption --resume goes on from there.

Cells that cannot be run have an `error` instead of results; exit code 4 then."""


_SEARCHED = "accuracy,conversions"
"""What a search improves unless told."""
_MOST_CHECKED = 200
"""Cells with a value that are checked before it is refused."""


class SamplerOption(StrEnum):
    """How a search chooses points."""

    TPE = "tpe"
    NSGA2 = "nsga2"


def sweep(
    model: ModelArgument,
    spec: SpecArgument,
    data: DataOption,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="A.B=VALUES", help="Values of a field of the spec. Repeatable."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Write results and plots here.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the results that DIR holds.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Throw away the results that DIR holds.")] = False,
    plots: Annotated[bool, typer.Option(help="Draw plots into DIR.")] = True,
    seeds: SeedsOption = "0",
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", metavar="N", min=1, help="Processes; each computes with one thread.")
    ] = 1,
    ray: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Run cells on this Ray cluster; `local` starts one of --jobs workers."),
    ] = None,
    optuna: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Search: try N different points of the grid.")
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help="What a search improves and the front (*) is of: accuracy, conversions, energy, latency. "
            "Default: a search improves accuracy,conversions; the front of a grid is of accuracy,energy where known.",
            show_default=False,
        ),
    ] = None,
    sampler: Annotated[SamplerOption, typer.Option(help="Tree-structured Parzen estimator, or NSGA-II.")] = (
        SamplerOption.TPE
    ),
    search_seed: Annotated[int, typer.Option(metavar="N", min=0, help="Of the search.")] = 0,
    max_cells: Annotated[
        int, typer.Option(metavar="N", min=1, help="Refuse a grid of more cells; each is a simulation.")
    ] = 10_000,
    calibrate: CalibrateOption = None,
    calib_samples: CalibSamplesOption = 256,
    calib_split: CalibSplitOption = "train",
    data_dir: DataDirOption = None,
    split: SplitOption = "validation",
    batch_size: BatchOption = 64,
    num_samples: SamplesOption = None,
    balanced: BalancedOption = False,
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
    """Measure a model on many variants of a hardware spec."""
    from asim_fx.cli.work.modules import refuse_missing
    from asim_fx.exploration import search as searching
    from asim_fx.exploration.axes import parse_axes, size
    from asim_fx.exploration.cells import OBJECTIVES, front_objectives
    from asim_fx.exploration.remarks import remarks
    from asim_fx.spec.loader import load_spec

    axes = parse_axes(set_ or [])
    numbers = parse_seeds(seeds)
    _check_options(axes, output, resume=resume, overwrite=overwrite)
    if objective is None and optuna is not None:
        objective = _SEARCHED
    objectives = None if objective is None else _objectives(objective, OBJECTIVES)
    if ray is not None:
        refuse_missing("ray", "--ray", "ray")
    if optuna is not None:
        refuse_missing("optuna", "--optuna", "explore")
    else:
        _check_size(axes, max_cells)
    if plots and output is not None:
        refuse_missing("matplotlib", "--plots, which --no-plots turns off,", "explore")
    base = load_spec(spec)

    from asim_fx.cli.console import progress_bar

    kept = _words_of_interrupt(output)
    with ending_at_interrupt(*kept), progress_bar() as bar:
        task = bar.add_task("checking", total=None)
        cells = _checked_cells(base, axes, calibrates=calibrate is not None, searches=optuna is not None)
        total = len(cells) if optuna is None else min(optuna, size(axes))
        bar.update(task, description="capturing the model", total=total)
        from asim_fx.cli.work.calibrating import CalibrationOptions
        from asim_fx.cli.work.exploring import BenchOf, DataOptions, Question, module_path, open_bench
        from asim_fx.cli.work.planning import ModelOptions
        from asim_fx.exploration.journal import cell_journal

        question = Question(
            model=model,
            options=ModelOptions(
                checkpoint=checkpoint,
                pretrained=pretrained,
                num_classes=num_classes,
                input_size=input_size,
                model_kwargs=tuple(model_kwargs or ()),
                device=device,
                seed=seed,
            ),
            spec=base,
            data=DataOptions(data, data_dir, split, batch_size, num_samples, balanced),
            seeds=numbers,
            calibration=(
                None if calibrate is None else CalibrationOptions(calibrate, calib_split, calib_samples, data_dir)
            ),
            fold_batch_norm=fold_batch_norm,
            path=module_path(),
        )
        bench = open_bench(question)
        path = None if output is None else output / "cells.jsonl"
        with (
            cell_journal(path, bench.identity(), resume=resume, overwrite=overwrite) as journal,
            _runner(BenchOf(question), bench, jobs, ray) as run,
        ):

            def run_new(wanted: Sequence[Settings]) -> Iterator[CellResult]:
                for result in _recorded(run, journal, wanted):
                    bar.update(task, advance=1, description="sweeping")
                    yield result

            if optuna is None or objectives is None:
                found = {result.settings: result for result in run_new(cells)}
                results = [found[cell] for cell in cells]
            else:
                plan = searching.Search(optuna, objectives, sampler.value, search_seed, jobs)
                results = searching.search(axes, plan, run_new)
    failed = [result for result in results if result.error]
    if len(failed) == len(results):
        message = f"no cell can be run: {failed[0].error}"
        raise PlanError(message)
    draws = plots and output is not None
    notes = remarks(results, axes, None if optuna is None else objectives, drawn=draws)
    if len(results) < total:
        notes.append(f"--optuna {optuna}: {len(results)} different points were tried; the others were chosen again")
    others = len(journal.finished) - len(results)
    if path is not None and others:
        notes.append(
            f"{path} also holds {others} cells that are not of this run's grid; the table, cells.csv and the plots "
            "leave them out"
        )
    front = front_objectives(results, objectives)
    outcome = Outcome(bench.analysed.name, base.name, bench.data.description, results, front, notes)
    show(outcome, [] if output is None else write_results(outcome, axes, output, plots=plots), as_json=as_json)
    if failed:
        message = f"{len(failed)} of {len(results)} cells cannot be run; the first: {failed[0].error}"
        raise PlanError(message, hint="`error` says why in the line of each; the results of the others stand")


def _check_options(axes: Sequence[Axis], output: Path | None, *, resume: bool, overwrite: bool) -> None:
    if not axes:
        message = "there is nothing to sweep"
        raise UsageError(message, hint="--set macros.m.adc.bits=5,6,7,8 names a field and its values")
    if resume and overwrite:
        message = "--resume and --overwrite exclude each other"
        raise UsageError(message)
    if output is None and (resume or overwrite):
        message = f"{'--resume' if resume else '--overwrite'} needs -o"
        raise UsageError(message)
    if output is not None and output.exists() and not output.is_dir():
        message = f"{output} is a file; -o takes the name of a folder"
        raise UsageError(message)
    file = None if output is None else output / "cells.jsonl"
    if file is not None and file.is_file() and file.stat().st_size and not (resume or overwrite):
        message = f"{file} already holds results"
        raise UsageError(message, hint="--resume goes on with it, --overwrite starts anew")


def _check_size(axes: Sequence[Axis], most: int) -> None:
    from asim_fx.exploration.axes import size

    if size(axes) > most:
        parts = " x ".join(f"{len(axis.values):,}" for axis in axes)
        message = f"the grid has {size(axes):,} cells ({parts}), more than {most:,}"
        raise UsageError(message, hint="--optuna N tries N of them; --max-cells allows more; or give fewer values")


def _checked_cells(base: HardwareSpec, axes: Sequence[Axis], *, calibrates: bool, searches: bool) -> list[Settings]:
    """Return the cells of the grid, or of a search those that hold each value.

    Raises:
        SpecError: a value is valid in no cell. Values that are impossible only together are no reason: their cells
            get an error each when they are run.
        UsageError: calibration was asked for, and no cell asks for it.
    """
    from asim_fx.exploration.axes import grid
    from asim_fx.spec.document import asks_for_calibration

    each = list(_one_at_a_time(axes))
    cells = each if searches else list(grid(axes))
    valid = [_valid_spec(base, axes, axis, value) for axis in axes for value in axis.values]
    if calibrates and not any(map(asks_for_calibration, valid)):
        specs = (_spec_of(base, cell) for cell in cells)
        if not any(asks_for_calibration(spec) for spec in specs if spec is not None):
            raise nothing_to_calibrate()
    return cells


def _valid_spec(base: HardwareSpec, axes: Sequence[Axis], axis: Axis, value: str) -> HardwareSpec:
    """Return the spec of the first cell with this value that is valid.

    Raises:
        SpecError: none of those that were tried is; that of the first one.
    """
    from itertools import chain, islice

    from asim_fx.exploration.axes import Axis, grid, overrides
    from asim_fx.spec.loader import load_spec

    having = [Axis(axis.path, (value,)) if other is axis else other for other in axes]
    tried = islice(chain(_one_at_a_time(having), grid(having)), _MOST_CHECKED)
    first, *others = dict.fromkeys(tried)
    spec = next((spec for cell in (first, *others) if (spec := _spec_of(base, cell)) is not None), None)
    return spec or load_spec(base, overrides(first))


def _spec_of(base: HardwareSpec, cell: Settings) -> HardwareSpec | None:
    """Return the spec of a cell; None where it is not valid."""
    from asim_fx.errors import SpecError
    from asim_fx.exploration.axes import overrides
    from asim_fx.spec.loader import load_spec

    try:
        return load_spec(base, overrides(cell))
    except SpecError:
        return None


def _objectives(text: str, known: dict[str, Objective]) -> tuple[Objective, ...]:
    names = [name.strip() for name in text.split(",")]
    unknown = [name for name in names if name not in known]
    if unknown or len(set(names)) < len(names):
        message = f"--objective {text}: {f'{unknown[0]!r} is unknown' if unknown else 'one is named twice'}"
        raise UsageError(message, hint=f"known are {', '.join(known)}")
    return tuple(known[name] for name in names)


def _one_at_a_time(axes: Sequence[Axis]) -> Iterator[Settings]:
    """Yield cells that hold each value at least once: what can be checked before a search."""
    first = [(axis.path, axis.values[0]) for axis in axes]
    for number, axis in enumerate(axes):
        for value in axis.values:
            yield (*first[:number], (axis.path, value), *first[number + 1 :])


def _runner(prepare: Prepare, bench: Bench, jobs: int, ray: str | None) -> AbstractContextManager[RunCells]:
    from asim_fx.exploration.on_ray import on_ray
    from asim_fx.exploration.pool import in_processes, in_this_process

    if ray is not None:
        return on_ray(prepare, ray, jobs)
    return in_processes(prepare, jobs) if jobs > 1 else in_this_process(bench.run)


def _recorded(run: RunCells, journal: CellJournal, cells: Sequence[Settings]) -> Iterator[CellResult]:
    """Yield what is known of cells, then what is measured now, recorded at once."""
    from dataclasses import replace

    known = {cell: result for cell in cells if (result := journal.get(cell)) is not None}
    yield from (replace(result, settings=cell) for cell, result in known.items())
    left = [cell for cell in cells if cell not in known]
    if left:
        for result in run(left):
            journal.append(result)
            yield result


def _words_of_interrupt(output: Path | None) -> tuple[str, str]:
    if output is None:
        return "interrupted; nothing is kept", "-o DIR keeps finished cells"
    return f"interrupted; the finished cells are in {output / 'cells.jsonl'}", "the same command with --resume goes on"
