"""Train a model as it will run on hardware: the whole run, from the first update to the files that it leaves."""

from __future__ import annotations

import math
import time
from dataclasses import replace

from torch import nn

from asim_fx.converted import ConvertedModel
from asim_fx.data import DataSource
from asim_fx.data.datasets import ImageList
from asim_fx.errors import RunInterruptedError
from asim_fx.fingerprint import fingerprint
from asim_fx.training.calibration_set import (
    CalibrationSet,
    choose_calibration_set,
    choose_scales,
    share_scales,
)
from asim_fx.training.checkpoint import Position, check_finite
from asim_fx.training.epoch_record import EpochRecord
from asim_fx.training.evaluation import EVALUATED_AS, Answers
from asim_fx.training.generators import restored_generators
from asim_fx.training.logs import Log, open_log
from asim_fx.training.objective import mixes
from asim_fx.training.optimizer import create_scheduler
from asim_fx.training.order import epoch_batches, part_bounds
from asim_fx.training.preparation import create_trainee, measure_noise, with_parts
from asim_fx.training.recipe import TrainingRecipe
from asim_fx.training.run_checkpoint import RunCheckpoint
from asim_fx.training.run_context import Run, Training, evaluate_kept, saying_where
from asim_fx.training.run_end import TrainingOutcome, finish_run
from asim_fx.training.run_files import (
    best_epoch,
    write_best_state,
    write_progress,
)
from asim_fx.training.run_start import start_run
from asim_fx.training.samples import load_batches, refuse_unknown_classes
from asim_fx.training.step import Part, update

_SANE = 100
"""A loss below this many times that of guessing is one that training can go on from."""


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
    training = Training(trainee, model, images, validation, calibration, run, scheduler, checkpoint, len(batches))
    position = start_run(training)
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
    return finish_run(training, position, answers)


def _calibrate_epoch(training: Training, position: Position) -> Position:
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


def _run_updates(training: Training, position: Position, log: Log) -> Position:
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
        with saying_where(training, position, f"epoch {position.epoch + 1}, update {position.step + 1}"):
            result = update(training.trainee, parts, len(batches[0]), done)
        position = position.after(result, sane=result.loss < _SANE * math.log(max(2, training.trainee.classes)))
        log.numbers({"update_loss": result.loss}, done + 1)
        run.progress(done + 1, recipe.epochs * len(batches))
        stopped = any(run.shard.gather(run.stopped()))
        if stopped or (run.save_every and (done + 1) % run.save_every == 0):
            log.flush()  # a kill must not lose what the checkpoint says was done
            with saying_where(training, position, f"epoch {position.epoch + 1}, update {position.step}"):
                position = training.checkpoint.write(position)
        if stopped:
            message = f"interrupted in epoch {position.epoch + 1}, after update {position.step}"
            raise RunInterruptedError(message, hint="the same command with --resume goes on to the same result")
    return position


def _evaluate_epoch(training: Training, position: Position) -> Answers | None:
    """Evaluate after the updates of an epoch, or return None where it is not this epoch's turn."""
    epoch, run = position.epoch + 1, training.run
    if epoch != training.trainee.recipe.epochs and epoch % run.eval_every:
        return None
    with saying_where(training, position, f"the evaluation of epoch {epoch}"):
        return evaluate_kept(training)


def _end_epoch(training: Training, position: Position, answers: Answers | None, started: float, log: Log) -> Position:
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
    with saying_where(training, position, f"epoch {epoch}"):
        check_finite(trainee.net.body)
        if run.shard.leads:
            write_progress(run.folder, trainee.kept, training.model, position.history)
            if trainee.recipe.keep == "best" and best_epoch(position.history) == epoch:
                write_best_state(run.folder, trainee.kept)
        position = training.checkpoint.write(position)
    run.on_epoch(record)
    return position
