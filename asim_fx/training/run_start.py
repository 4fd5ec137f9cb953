"""How a run begins: from a checkpoint, or from the weights it was given, which are evaluated and saved."""

from __future__ import annotations

import time
from dataclasses import replace
from statistics import median

import torch

from asim_fx.calibration import restore
from asim_fx.errors import NumericsError
from asim_fx.training.checkpoint import Position
from asim_fx.training.epoch_record import EpochRecord
from asim_fx.training.evaluation import EVALUATED_AS
from asim_fx.training.run_checkpoint import refuse_different_processes
from asim_fx.training.run_context import Training, evaluate_kept
from asim_fx.training.run_files import (
    TRIM_NOISE,
    write_trim_noise,
)


def start_run(training: Training) -> Position:
    """Return where to begin. A new run saves its first state, so that there always is one to go back to."""
    run, trainee = training.run, training.trainee
    position = Position(calibration=trainee.net.calibration)
    if run.resume:
        found = training.checkpoint.read(trainee.recipe.epochs)
        position = found.position
        for net in {trainee.net, trainee.kept}:
            restore(net, position.calibration)
        if found.threads != torch.get_num_threads():
            run.note(
                f"the checkpoint was written with {found.threads} threads, and this run has "
                f"{torch.get_num_threads()}: the last bits of the result may differ. "
                f"OMP_NUM_THREADS={found.threads} repeats them"
            )
    refuse_different_processes(training.checkpoint, position, resumed=run.resume)
    _tell_trim_noise(training)
    if not run.resume:
        if run.eval_start:
            position = _evaluate_start(training, position)
        position = training.checkpoint.write(position)
    return position


def _evaluate_start(training: Training, position: Position) -> Position:
    """Evaluate before the first update, so that it can be seen what training gains."""
    started, run = time.perf_counter(), training.run
    try:
        answers = evaluate_kept(training)
    except NumericsError as error:
        message = f"the evaluation before the first update failed: {error}"
        raise NumericsError(message, hint=error.hint) from error
    record = EpochRecord(
        epoch=0,
        step=0,
        lr=None,
        train_loss=None,
        train_cross_entropy=None,
        train_top1=None,
        loss=answers.loss,
        top1=answers.top1,
        fidelity=EVALUATED_AS[training.trainee.recipe.mode],
        seconds=time.perf_counter() - started,
    )
    run.on_epoch(record)
    return replace(position, history=(record,))


def _tell_trim_noise(training: Training) -> None:
    """Say once how large the trim noise of the sites was measured to be, and write it down."""
    run, trainee = training.run, training.trainee
    if trainee.recipe.mode != "nat" or trainee.recipe.trim_noise is not None:
        return
    percent = {site.config.site: site.trim_noise for site in trainee.net.sites().values()}
    if run.shard.leads:
        write_trim_noise(run.folder, percent)
    factor = trainee.recipe.trim_factor
    times = "" if factor == 1 else f" (measured, times {factor:g})"
    noisy = [value for value in percent.values() if value]  # digital sites have none
    if noisy:
        run.note(
            f"trim noise of {len(noisy)} sites{times}: median {median(noisy):.3g} %, from {min(noisy):.3g} % to "
            f"{max(noisy):.3g} %; all are in {run.folder / TRIM_NOISE}"
        )
    else:
        run.note("the reads of this spec are exact, so that the measured trim noise is 0 at every site")
