"""Train a model as it will run on hardware: the whole run, from the first update to the files that it leaves."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import nn

from asim_fx.calibration import restore
from asim_fx.converted import ConvertedModel
from asim_fx.data import DataSource
from asim_fx.data.datasets import ImageList
from asim_fx.errors import NumericsError, RunInterruptedError
from asim_fx.fingerprint import fingerprint
from asim_fx.nn.module import exact_reads
from asim_fx.sharding import ALONE, Shard
from asim_fx.training.calibration_set import (
    CalibrationSet,
    choose_calibration_set,
    choose_scales,
    clipping_warning,
    measure_clipping,
    share_scales,
)
from asim_fx.training.checkpoint import Position, check_finite, describe_moment
from asim_fx.training.epoch_record import EpochRecord, Fidelity
from asim_fx.training.evaluation import EVALUATED_AS, Answers, evaluate
from asim_fx.training.form import deploy
from asim_fx.training.generators import restored_generators
from asim_fx.training.logs import Log, open_log
from asim_fx.training.objective import mixes
from asim_fx.training.optimizer import create_scheduler
from asim_fx.training.order import epoch_batches, part_bounds
from asim_fx.training.preparation import create_trainee, measure_noise, with_parts
from asim_fx.training.recipe import TrainingRecipe
from asim_fx.training.run_checkpoint import RunCheckpoint, refuse_different_processes
from asim_fx.training.run_files import (
    TRIM_NOISE,
    WEIGHTS,
    best_epoch,
    draw,
    place_artifact,
    read_best_state,
    write_answers,
    write_best_state,
    write_history,
    write_progress,
    write_trained,
    write_trim_noise,
)
from asim_fx.training.samples import class_names, load_batches, refuse_unknown_classes
from asim_fx.training.step import Part, Trainee, update

_SANE = 100
"""A loss below this many times that of guessing is one that training can go on from."""


@dataclass(frozen=True)
class Run:
    """Where and how a run happens, and whom it tells.

    Attributes:
        folder: gets every file.
        fabric: device, precision and processes; see ``connect``.
        shard: the share of this process.
        workers: processes that decode images.
        save_every: updates between checkpoints; 0 saves at the end of each epoch only.
        eval_every: epochs between evaluations; the last one is always evaluated.
        eval_start: whether the model is evaluated before the first update too.
        resume: whether to go on from the folder's checkpoint.
        progress: told the number of updates that are done, and of all updates.
        on_epoch: told the record of the start and of each finished epoch.
        note: told, in words, what the user should know.
        stopped: asked after each update whether to stop.
    """

    folder: Path
    fabric: Fabric
    shard: Shard = ALONE
    workers: int = 0
    save_every: int = 0
    eval_every: int = 1
    eval_start: bool = True
    resume: bool = False
    progress: Callable[[int, int], None] = lambda _done, _all: None
    on_epoch: Callable[[EpochRecord], None] = lambda _record: None
    note: Callable[[str], None] = lambda _words: None
    stopped: Callable[[], bool] = lambda: False


@dataclass(frozen=True)
class TrainingOutcome:
    """What a run came to.

    Attributes:
        history: one record for each epoch, after that of the start.
        answers: of the trained model to the validation images, computed as in the evaluation of each epoch.
        fidelity: how that is.
        hardware: answers of the simulated hardware where ``answers`` are of something else that differs from it.
        epoch: whose weights were kept.
        batch_size: images of a batch of the evaluation; dynamic scales are those of a batch.
        seed: of the noise in the evaluation.
        converted: the trained model, as it was saved.
    """

    history: tuple[EpochRecord, ...]
    answers: Answers
    fidelity: Fidelity
    hardware: Answers | None
    epoch: int
    batch_size: int
    seed: int
    converted: ConvertedModel


def train(
    net: ConvertedModel,
    model: nn.Module,
    images: ImageList,
    validation: DataSource,
    recipe: TrainingRecipe,
    run: Run,
    calibration: CalibrationSet | None = None,
) -> TrainingOutcome:
    """Train a model and write what it became: an artifact, its plain weights, curves and answers.

    The result is a function of model, data, recipe and the number of parts. On one kind of device and with one number
    of threads, neither an interruption nor the number of processes changes a bit of it. The caller's random generators
    are left as they were.

    Args:
        net: what ``trainable_form`` made of ``model``; it is trained in place.
        model: the original, whose keys the plain weights have.
        images: what to train on.
        validation: what to evaluate on.
        recipe: the settings.
        run: where and how.
        calibration: images for static scales and converter windows; a choice of ``images`` where none are given.

    Raises:
        NumericsError: the loss or a weight is not a number; the last good checkpoint is kept.
        RunInterruptedError: ``run.stopped`` said so; the checkpoint is of this moment.
        CheckpointError: the folder's checkpoint is of another run.
        DataError: an image cannot be decoded, its label is no class of the model, or there are too few images.
        UsageError: a setting does not suit the others, or the processes do not start from the same.
    """
    recipe = with_parts(recipe, run.shard.count, len(images))
    chosen = calibration or choose_calibration_set(images, recipe.calib_samples, recipe.seed)
    with restored_generators(run.fabric.device):
        return _train(net, model, images, validation, recipe, run, chosen)


@dataclass(frozen=True)
class _Training:
    """What the steps of a run share."""

    trainee: Trainee
    model: nn.Module
    images: ImageList
    validation: DataSource
    calibration: CalibrationSet
    run: Run
    scheduler: Any
    checkpoint: RunCheckpoint
    updates: int  # of an epoch


def _train(
    net: ConvertedModel,
    model: nn.Module,
    images: ImageList,
    validation: DataSource,
    recipe: TrainingRecipe,
    run: Run,
    calibration: CalibrationSet,
) -> TrainingOutcome:
    net.to(run.fabric.device)
    batches = epoch_batches(len(images), recipe.batch_size, recipe.seed, 0)
    first, _ = next(load_batches(images, batches[:1], recipe.seed, 0, 0))
    if recipe.mode != "float":
        choose_scales(net, calibration, run.fabric.device)
    measure_noise(net, first.to(run.fabric.device), recipe)
    trainee, state = create_trainee(net, recipe, run.fabric)
    refuse_unknown_classes(images, "the training images", trainee.classes)
    refuse_unknown_classes(validation.images, validation.description, trainee.classes)
    if images.classes is not None and images.classes < trainee.classes:
        run.note(f"the model has {trainee.classes} outputs, and the images have {images.classes} classes")
    scheduler = create_scheduler(state.optimizer, recipe, len(batches))
    identity = {
        "recipe": recipe.identity(),
        "model and spec": fingerprint(net.graph_modules),
        "training data": images.identity,
        "validation data": validation.identity,
    }
    checkpoint = RunCheckpoint(run.folder, run.shard, state, identity)
    training = _Training(trainee, model, images, validation, calibration, run, scheduler, checkpoint, len(batches))
    position = _start(training)
    answers = None
    with open_log(run.folder, position.epoch * len(batches) + position.step, shown=run.shard.leads) as log:
        if not run.resume and position.history:
            log.numbers(position.history[0].curves(), 0)
            log.flush()
        while position.epoch < recipe.epochs:
            started = time.perf_counter()
            position = _calibrate_epoch(training, position)
            position = _run_updates(training, position, log)
            answers = _evaluate_epoch(training, position)
            position = _end_epoch(training, position, answers, started, log)
    return _finish(training, position, answers)


def _start(training: _Training) -> Position:
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


def _tell_trim_noise(training: _Training) -> None:
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


def _evaluate_start(training: _Training, position: Position) -> Position:
    """Evaluate before the first update, so that it can be seen what training gains."""
    started, run = time.perf_counter(), training.run
    try:
        answers = _evaluate(training)
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


def _calibrate_epoch(training: _Training, position: Position) -> Position:
    """Choose static scales and windows anew for the weights at the start of an epoch.

    They stay the same within an epoch. Those of the last epoch go into the artifact. Before the first update they were
    chosen already.
    """
    trainee = training.trainee
    if position.step or not position.epoch or trainee.recipe.mode == "float":
        return position
    choose_scales(trainee.net, training.calibration, training.run.fabric.device)
    if trainee.kept is not trainee.net:
        share_scales(trainee.net, trainee.kept)
    return replace(position, calibration=trainee.net.calibration)


def _run_updates(training: _Training, position: Position, log: Log) -> Position:
    """Do the updates of an epoch that are left.

    Raises:
        RunInterruptedError: the user stopped the run.
    """
    run, recipe = training.run, training.trainee.recipe
    batches = epoch_batches(len(training.images), recipe.batch_size, recipe.seed, position.epoch)
    bounds = part_bounds(len(batches[0]), recipe.parts)
    each = recipe.parts // run.shard.count
    own = bounds[run.shard.rank * each : (run.shard.rank + 1) * each]
    wanted = [batch[own[0][0] : own[-1][1]] for batch in batches[position.step :]]
    for held, labels in load_batches(training.images, wanted, recipe.seed, position.epoch, run.workers):
        done = position.epoch * len(batches) + position.step
        parts = [
            Part(run.shard.rank * each + number, start, held[start - own[0][0] : end - own[0][0]],
                 labels[start - own[0][0] : end - own[0][0]])
            for number, (start, end) in enumerate(own)
        ]  # fmt: skip
        training.scheduler.step_update(done)
        with _saying_where(training, position, f"epoch {position.epoch + 1}, update {position.step + 1}"):
            result = update(training.trainee, parts, len(batches[0]), done)
        position = position.after(result, sane=result.loss < _SANE * math.log(max(2, training.trainee.classes)))
        log.numbers({"update_loss": result.loss}, done + 1)
        run.progress(done + 1, recipe.epochs * len(batches))
        stopped = any(run.shard.gather(run.stopped()))
        if stopped or (run.save_every and (done + 1) % run.save_every == 0):
            log.flush()  # a kill must not lose what the checkpoint says was done
            with _saying_where(training, position, f"epoch {position.epoch + 1}, update {position.step}"):
                position = training.checkpoint.write(position)
        if stopped:
            message = f"interrupted in epoch {position.epoch + 1}, after update {position.step}"
            raise RunInterruptedError(message, hint="the same command with --resume goes on to the same result")
    return position


def _evaluate_epoch(training: _Training, position: Position) -> Answers | None:
    """Evaluate after the updates of an epoch, or return None where it is not this epoch's turn."""
    epoch, run = position.epoch + 1, training.run
    if epoch != training.trainee.recipe.epochs and epoch % run.eval_every:
        return None
    with _saying_where(training, position, f"the evaluation of epoch {epoch}"):
        return _evaluate(training)


def _end_epoch(training: _Training, position: Position, answers: Answers | None, started: float, log: Log) -> Position:
    """Record an epoch, and write all that belongs to it; the checkpoint comes last, and is what a resumption reads."""
    run, trainee, epoch = training.run, training.trainee, position.epoch + 1
    step = epoch * training.updates
    # A resumption between the updates and the evaluation has not set the rate of the last update.
    training.scheduler.step_update(step - 1)
    loss_sum, cross_entropy_sum, right = position.sums
    images = training.updates * min(len(training.images), trainee.recipe.batch_size)
    mixed = mixes(trainee.recipe)
    record = EpochRecord(
        epoch=epoch,
        step=step,
        lr=float(training.checkpoint.state.optimizer.param_groups[0]["lr"]),
        train_loss=loss_sum / training.updates,
        train_cross_entropy=None if mixed else cross_entropy_sum / training.updates,
        train_top1=None if mixed else 100 * right / images,
        loss=None if answers is None else answers.loss,
        top1=None if answers is None else answers.top1,
        fidelity=EVALUATED_AS[trainee.recipe.mode],
        seconds=time.perf_counter() - started,
    )
    log.numbers(record.curves(), step)
    log.flush()
    position = Position(
        epoch=epoch,
        history=(*position.history, record),
        calibration=position.calibration,
        saved_is_good=position.saved_is_good,
    )
    with _saying_where(training, position, f"epoch {epoch}"):
        check_finite(trainee.net.body)
        if run.shard.leads:
            write_progress(run.folder, trainee.kept, training.model, position.history)
            if trainee.recipe.keep == "best" and best_epoch(position.history) == epoch:
                write_best_state(run.folder, trainee.kept)
        position = training.checkpoint.write(position)
    run.on_epoch(record)
    return position


def _finish(training: _Training, position: Position, answers: Answers | None) -> TrainingOutcome:
    """Write what a finished run leaves; a run that was resumed at its end has no answers yet."""
    run, net, recipe = training.run, training.trainee.kept, training.trainee.recipe
    device, epoch = run.fabric.device, position.epoch
    if recipe.keep == "best" and (best := best_epoch(position.history)) not in (None, epoch):
        read_best_state(run.folder, net)
        answers, epoch = None, best
    answers = _evaluate(training) if answers is None else answers
    if recipe.mode == "float":
        choose_scales(net, training.calibration, device)  # training had none; the artifact needs them
    else:
        measure_clipping(net, training.calibration, device)
    warning = clipping_warning(net)
    if warning is not None:
        run.note(f"warning: {warning}")
    hardware = _evaluate(training, "hardware") if _differs_on_hardware(net, recipe) else None
    net.cpu().eval()
    net.reseed(recipe.seed)
    result = deploy(net, training.model)
    result.calibration_images = net.calibration_images
    if run.shard.leads:
        write_history(run.folder, position.history)
        write_trained(run.folder / WEIGHTS, net, training.model)
        write_answers(run.folder, answers, training.validation)
        draw(run.folder, position.history, answers, class_names(training.validation.images))
        place_artifact(result, run.folder)
    run.shard.gather(True)  # no process ends before the files are there
    training.checkpoint.forget_previous()
    return TrainingOutcome(
        history=position.history,
        answers=answers,
        fidelity=EVALUATED_AS[recipe.mode],
        hardware=hardware,
        epoch=epoch,
        batch_size=training.validation.batch_size,
        seed=recipe.seed,
        converted=result,
    )


def _evaluate(training: _Training, fidelity: Fidelity | None = None) -> Answers:
    """Return what the kept model answers, as its mode is evaluated or at another fidelity."""
    run, recipe = training.run, training.trainee.recipe
    fidelity, device = fidelity or EVALUATED_AS[recipe.mode], run.fabric.device
    kept = training.trainee.kept
    return evaluate(kept, training.validation, fidelity, device=device, seed=recipe.seed, shard=run.shard)


def _differs_on_hardware(net: ConvertedModel, recipe: TrainingRecipe) -> bool:
    """Return whether the simulated hardware computes something else than what was evaluated."""
    if recipe.mode == "float":
        return True
    return EVALUATED_AS[recipe.mode] == "integer" and any(not exact_reads(site) for site in net.sites().values())


@contextmanager
def _saying_where(training: _Training, position: Position, where: str) -> Iterator[None]:
    """Add to an error about numbers where it happened, and what to go on from."""
    try:
        yield
    except NumericsError as error:
        message = f"training stopped in {where}: {error}"
        path = training.checkpoint.last_good(position)
        moment = describe_moment(path)
        kept = (
            f"the last good weights are in {path}{f' ({moment})' if moment else ''}; "
            f"start a new run from them: --checkpoint {path} -o OTHER"
        )
        raise NumericsError(message, hint="; ".join(filter(None, (error.hint, kept)))) from error
