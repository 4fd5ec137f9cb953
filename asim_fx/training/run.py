"""Train a model as it will run on hardware: the whole run, from the first update to the files that it leaves."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import nn

from asim_fx.converted import ConvertedModel
from asim_fx.data import DataSource
from asim_fx.data.datasets import ImageList
from asim_fx.errors import NumericsError, RunInterruptedError
from asim_fx.fingerprint import fingerprint
from asim_fx.sharding import ALONE, Shard
from asim_fx.training.checkpoint import Position, check_finite
from asim_fx.training.epoch_record import EpochRecord
from asim_fx.training.evaluation import EVALUATED_AS, Answers, evaluate
from asim_fx.training.form import deploy
from asim_fx.training.generators import restored_generators
from asim_fx.training.logs import Log, open_log
from asim_fx.training.optimizer import create_scheduler
from asim_fx.training.order import epoch_batches, part_bounds
from asim_fx.training.preparation import create_trainee, measure, with_parts
from asim_fx.training.recipe import TrainingRecipe
from asim_fx.training.run_checkpoint import CHECKPOINT, RunCheckpoint, refuse_different_processes
from asim_fx.training.run_files import (
    WEIGHTS,
    draw,
    place_artifact,
    write_answers,
    write_history,
    write_progress,
    write_trained,
)
from asim_fx.training.samples import load_batches
from asim_fx.training.step import Part, Trainee, update


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
        resume: whether to go on from the folder's checkpoint.
        progress: told the number of updates that are done, and of all updates.
        on_epoch: told the record of each finished epoch.
        note: told, in words, what the user should know.
        stopped: asked after each update whether to stop.
    """

    folder: Path
    fabric: Fabric
    shard: Shard = ALONE
    workers: int = 0
    save_every: int = 0
    eval_every: int = 1
    resume: bool = False
    progress: Callable[[int, int], None] = lambda _done, _all: None
    on_epoch: Callable[[EpochRecord], None] = lambda _record: None
    note: Callable[[str], None] = lambda _words: None
    stopped: Callable[[], bool] = lambda: False


@dataclass(frozen=True)
class TrainingOutcome:
    """What a run came to.

    Attributes:
        history: one record for each epoch.
        answers: of the trained model to the validation images.
        converted: the trained model, as it was saved.
    """

    history: tuple[EpochRecord, ...]
    answers: Answers
    converted: ConvertedModel


def train(
    net: ConvertedModel,
    model: nn.Module,
    images: ImageList,
    validation: DataSource,
    recipe: TrainingRecipe,
    run: Run,
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

    Raises:
        NumericsError: the loss or a weight is not a number; the last checkpoint is kept.
        RunInterruptedError: ``run.stopped`` said so; the checkpoint is of this moment.
        CheckpointError: the folder's checkpoint is of another run.
        DataError: an image cannot be decoded, its label is no class of the model, or there are too few images.
        UsageError: a setting does not suit the others, or the processes do not start from the same.
    """
    recipe = with_parts(recipe, run.shard.count, len(images))
    with restored_generators(run.fabric.device):
        return _train(net, model, images, validation, recipe, run)


@dataclass(frozen=True)
class _Training:
    """What the steps of a run share."""

    trainee: Trainee
    model: nn.Module
    images: ImageList
    validation: DataSource
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
) -> TrainingOutcome:
    net.to(run.fabric.device)
    batches = epoch_batches(len(images), recipe.batch_size, recipe.seed, 0)
    first, _ = next(load_batches(images, batches[:1], recipe.seed, 0, 0))
    measure(net, first.to(run.fabric.device), recipe)
    trainee, state = create_trainee(net, recipe, run.fabric)
    scheduler = create_scheduler(state.optimizer, recipe, len(batches))
    identity = {
        "recipe": recipe.identity(),
        "model and spec": fingerprint(net.graph_modules),
        "training data": images.identity,
        "validation data": validation.identity,
    }
    checkpoint = RunCheckpoint(run.folder, run.shard, state, identity)
    training = _Training(trainee, model, images, validation, run, scheduler, checkpoint, len(batches))
    position = _start(training)
    answers = None
    with open_log(run.folder, position.epoch * len(batches) + position.step, shown=run.shard.leads) as log:
        while position.epoch < recipe.epochs:
            started = time.perf_counter()
            position = _run_updates(training, position, log)
            answers = _evaluate_epoch(training, position)
            position = _end_epoch(training, position, answers, started, log)
    return _finish(training, position, answers)


def _start(training: _Training) -> Position:
    """Return where to begin. A new run saves its first state, so that there always is one to go back to."""
    run, position = training.run, Position()
    if run.resume:
        found = training.checkpoint.read(training.trainee.recipe.epochs)
        position = found.position
        if found.threads != torch.get_num_threads():
            run.note(
                f"the checkpoint was written with {found.threads} threads, and this run has "
                f"{torch.get_num_threads()}: the last bits of the result may differ. "
                f"OMP_NUM_THREADS={found.threads} repeats them"
            )
    refuse_different_processes(training.checkpoint, position, resumed=run.resume)
    if not run.resume:
        training.checkpoint.write(position)
    return position


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
        with _saying_where(run, f"epoch {position.epoch + 1}, update {position.step + 1}"):
            loss = update(training.trainee, parts, len(batches[0]), done)
        position = replace(position, step=position.step + 1, loss_sum=position.loss_sum + loss)
        log.numbers({"update_loss": loss}, done + 1)
        run.progress(done + 1, recipe.epochs * len(batches))
        stopped = any(run.shard.gather(run.stopped()))
        if stopped or (run.save_every and (done + 1) % run.save_every == 0):
            log.flush()  # a kill must not lose what the checkpoint says was done
            with _saying_where(run, f"epoch {position.epoch + 1}, update {position.step}"):
                training.checkpoint.write(position)
        if stopped:
            message = f"interrupted in epoch {position.epoch + 1}, after update {position.step}"
            raise RunInterruptedError(message, hint="the same command with --resume goes on to the same result")
    return position


def _evaluate_epoch(training: _Training, position: Position) -> Answers | None:
    """Evaluate after the updates of an epoch, or return None where it is not this epoch's turn."""
    epoch, run = position.epoch + 1, training.run
    if epoch != training.trainee.recipe.epochs and epoch % run.eval_every:
        return None
    with _saying_where(run, f"the evaluation of epoch {epoch}"):
        return _evaluate(training)


def _end_epoch(training: _Training, position: Position, answers: Answers | None, started: float, log: Log) -> Position:
    """Record an epoch, and write all that belongs to it; the checkpoint comes last, and is what a resumption reads."""
    run, trainee, epoch = training.run, training.trainee, position.epoch + 1
    step = epoch * training.updates
    # A resumption between the updates and the evaluation has not set the rate of the last update.
    training.scheduler.step_update(step - 1)
    record = EpochRecord(
        epoch=epoch,
        step=step,
        lr=float(training.checkpoint.state.optimizer.param_groups[0]["lr"]),
        train_loss=position.loss_sum / training.updates,
        loss=None if answers is None else answers.loss,
        top1=None if answers is None else answers.top1,
        seconds=time.perf_counter() - started,
    )
    log.numbers(record.curves(), step)
    log.flush()
    position = Position(epoch, 0, 0.0, (*position.history, record))
    with _saying_where(run, f"epoch {epoch}"):
        check_finite(trainee.net.body)
        if run.shard.leads:
            write_progress(run.folder, trainee.kept, training.model, position.history)
        training.checkpoint.write(position)
    run.on_epoch(record)
    return position


def _finish(training: _Training, position: Position, answers: Answers | None) -> TrainingOutcome:
    """Write what a finished run leaves; a run that was resumed at its end has no answers yet."""
    run, net, recipe = training.run, training.trainee.kept, training.trainee.recipe
    answers = _evaluate(training) if answers is None else answers
    net.cpu().eval()
    net.reseed(recipe.seed)
    result = deploy(net, training.model)
    if run.shard.leads:
        write_history(run.folder, position.history)
        write_trained(run.folder / WEIGHTS, net, training.model)
        write_answers(run.folder, answers, training.validation)
        draw(run.folder, position.history, answers)
        place_artifact(result, run.folder)
    run.shard.gather(True)  # no process ends before the files are there
    return TrainingOutcome(position.history, answers, result)


def _evaluate(training: _Training) -> Answers:
    run, recipe = training.run, training.trainee.recipe
    fidelity, device = EVALUATED_AS[recipe.mode], run.fabric.device
    kept = training.trainee.kept
    return evaluate(kept, training.validation, fidelity, device=device, seed=recipe.seed, shard=run.shard)


@contextmanager
def _saying_where(run: Run, where: str) -> Iterator[None]:
    """Add to an error about numbers where it happened, and what to go on from."""
    try:
        yield
    except NumericsError as error:
        message = f"training stopped in {where}: {error}"
        path = run.folder / CHECKPOINT
        kept = f"the last good weights are in {path}; start a new run from them: --checkpoint {path} -o OTHER"
        raise NumericsError(message, hint="; ".join(filter(None, (error.hint, kept)))) from error
