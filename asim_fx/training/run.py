"""Train a model as it will run on hardware: the whole run, from the first update to the files that it leaves."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from timm.utils import ModelEmaV3
from torch import nn
from torch.optim import Optimizer

from asim_fx.calibration import calibrate, uncalibrated_sites, uncalibrated_windows
from asim_fx.converted import ConvertedModel
from asim_fx.data import DataSource
from asim_fx.data.datasets import ImageList
from asim_fx.errors import CheckpointError, InputError, NumericsError, RunInterruptedError, UsageError
from asim_fx.fingerprint import fingerprint
from asim_fx.models.library import first_line
from asim_fx.nn import Fidelity
from asim_fx.sharding import ALONE, Shard
from asim_fx.training.checkpoint import Position, read_checkpoint, write_checkpoint
from asim_fx.training.evaluation import Answers, evaluate
from asim_fx.training.form import deploy, original_state
from asim_fx.training.logs import Log, open_log
from asim_fx.training.noise import set_trim_noise
from asim_fx.training.objective import criterion_for
from asim_fx.training.order import epoch_batches, part_bounds
from asim_fx.training.outcome import (
    BEST,
    WEIGHTS,
    confusion,
    place_artifact,
    write_answers,
    write_history,
    write_weights,
)
from asim_fx.training.recipe import TrainingRecipe
from asim_fx.training.samples import load_batches
from asim_fx.training.step import Part, Trainee, update

CHECKPOINT = "checkpoint.safetensors"

_FORWARD: Mapping[str, Fidelity] = {"float": "float", "qat": "proxy", "nat": "proxy", "hardware": "hardware"}
_EVALUATED: Mapping[str, Fidelity] = {"float": "float", "qat": "integer", "nat": "hardware", "hardware": "hardware"}


@dataclass(frozen=True)
class Run:
    """Where a run happens, and what it is told and tells.

    Attributes:
        folder: gets every file.
        fabric: device, precision and processes; see ``connect``.
        shard: the share of this process.
        workers: processes that decode images.
        save_every: updates between checkpoints; 0: at the end of each epoch alone.
        eval_every: epochs between evaluations; the last one is always evaluated.
        resume: whether to go on from the folder's checkpoint.
        progress: told the updates that are done and all updates.
        on_epoch: told the record of each finished epoch.
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
    on_epoch: Callable[[Mapping[str, Any]], None] = lambda _record: None
    stopped: Callable[[], bool] = lambda: False


@dataclass(frozen=True)
class TrainingOutcome:
    """What a run came to.

    Attributes:
        history: one record for each epoch: epoch, step, lr, train_loss, loss, top1, seconds.
        answers: of the trained model to the validation images.
        converted: the trained model, as it was saved.
    """

    history: tuple[Mapping[str, Any], ...]
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

    The result is a function of model, data, recipe and the number of parts: neither an interruption nor the number of
    processes changes a bit of it on one kind of device.

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
        DataError: an image cannot be decoded, or its label is no class of the model.
        UsageError: a setting does not suit the others.
    """
    parts = recipe.parts or run.shard.count
    if parts % run.shard.count:
        message = f"{parts} parts of a batch cannot be shared by {run.shard.count} processes"
        raise UsageError(message, hint="choose --parts that the number of processes divides")
    recipe = replace(recipe, parts=parts)
    net.to(run.fabric.device)
    batches = epoch_batches(len(images), recipe.batch_size, recipe.seed, 0)
    _prepare(net, images, batches[0], recipe, run)
    optimizer, trainee = _trainee(net, recipe, run)
    scheduler = _scheduler(optimizer, recipe, len(batches))
    identity = {
        "recipe": recipe.identity(),
        "model and spec": fingerprint(net.graph_modules),
        "training data": images.identity,
        "validation data": validation.identity,
    }
    keeper = _Keeper(run, trainee, optimizer, identity)
    position = keeper.start()
    _check_same(run.shard, identity)
    with open_log(run.folder, position.epoch * len(batches) + position.step, shown=run.shard.leads) as log:
        for epoch in range(position.epoch, recipe.epochs):
            started = time.perf_counter()
            position = _epoch(trainee, images, position, scheduler, keeper, log)
            scheduler.step_update((epoch + 1) * len(batches) - 1)  # where all updates were done before a resumption
            record = {
                "epoch": epoch + 1,
                "step": (epoch + 1) * len(batches),
                "lr": optimizer.param_groups[0]["lr"],
                "train_loss": position.loss_sum / len(batches),
                "loss": None,
                "top1": None,
            }
            last = epoch + 1 == recipe.epochs
            if last or (epoch + 1) % run.eval_every == 0:
                try:
                    answers = _evaluated(trainee.kept, validation, recipe, run)
                except NumericsError as error:
                    message = f"training went wrong in epoch {epoch + 1}, as its evaluation shows: {error}"
                    hint = f"lower --lr, or add --warmup-epochs; {_from_before(run)}"
                    raise NumericsError(message, hint=hint) from error
                record |= {"loss": answers.loss, "top1": answers.top1}
            log.numbers({name: record[name] for name in ("lr", "train_loss", "loss", "top1")}, record["step"])
            record["seconds"] = time.perf_counter() - started
            position = Position(epoch + 1, 0, 0.0, (*position.history, record))
            log.flush()  # what the checkpoint says was done is there after a kill
            keeper.keep(position)
            if run.shard.leads:
                _write_progress(run.folder, trainee.kept, model, position)
            run.on_epoch(record)
    return _finish(trainee.kept, model, validation, recipe, run, position)


def _prepare(net: ConvertedModel, images: ImageList, first: list[int], recipe: TrainingRecipe, run: Run) -> None:
    """Calibrate static scales and measure trim noise on the first batch, the same in every process."""
    batch, _ = next(load_batches(images, [first], recipe.seed, 0, 0))
    batch = batch.to(run.fabric.device)
    torch.manual_seed(recipe.seed)
    net.eval()
    if (uncalibrated_sites(net) or uncalibrated_windows(net)) and recipe.mode != "float":
        calibrate(net, [batch])
    net.set_fidelity(_FORWARD[recipe.mode])
    set_trim_noise(net, batch, recipe)
    net.train()


def _trainee(net: ConvertedModel, recipe: TrainingRecipe, run: Run) -> tuple[Optimizer, Trainee]:
    args, kwargs = net.signature.example()
    net.eval()
    net.set_fidelity("float")
    with torch.no_grad():
        scores = net(*(arg.to(run.fabric.device) for arg in args), **kwargs)
    net.set_fidelity(_FORWARD[recipe.mode])
    if not isinstance(scores, torch.Tensor) or scores.ndim != 2:
        message = "the model does not return one row of class scores for each image, so it cannot be trained here"
        raise InputError(message)
    # timm takes weight decay from biases, norms and bounds: all that has one dimension or none.
    try:
        optimizer = create_optimizer_v2(
            net.body, opt=recipe.opt, lr=recipe.lr, weight_decay=recipe.weight_decay, momentum=recipe.momentum
        )
    except (AssertionError, ValueError, RuntimeError) as error:
        message = f"--opt {recipe.opt}: {first_line(error)}"
        raise UsageError(message, hint="for example sgd, adamw, lamb or lion") from error
    wrapped: Any = run.fabric.setup_optimizers(optimizer)
    average = ModelEmaV3(net, decay=recipe.ema, use_warmup=True) if recipe.ema else None
    return optimizer, Trainee(net, wrapped, criterion_for(recipe), recipe, run.fabric, scores.shape[1], average)


def _scheduler(optimizer: Optimizer, recipe: TrainingRecipe, updates: int) -> Any:
    """Return timm's schedule of the learning rate, by updates."""
    try:
        scheduler, _ = create_scheduler_v2(
            optimizer,
            sched="constant" if recipe.sched == "none" else recipe.sched,
            num_epochs=recipe.epochs,
            warmup_epochs=recipe.warmup_epochs,
            warmup_lr=recipe.lr / 100,
            min_lr=recipe.min_lr,
            step_on_epochs=False,
            updates_per_epoch=updates,
        )
    except (AssertionError, ValueError) as error:
        message = f"--sched {recipe.sched}: {first_line(error)}"
        raise UsageError(message, hint="for example cosine, step, poly or none") from error
    return scheduler


def _epoch(
    trainee: Trainee, images: ImageList, position: Position, scheduler: Any, keeper: _Keeper, log: Log
) -> Position:
    """Do the updates of an epoch that are left."""
    recipe, run = trainee.recipe, keeper.run
    batches = epoch_batches(len(images), recipe.batch_size, recipe.seed, position.epoch)
    bounds = part_bounds(len(batches[0]), recipe.parts)
    each = recipe.parts // run.shard.count
    own = bounds[run.shard.rank * each : (run.shard.rank + 1) * each]
    wanted = [batch[own[0][0] : own[-1][1]] for batch in batches[position.step :]]
    loaded = load_batches(images, wanted, recipe.seed, position.epoch, run.workers)
    for held, labels in loaded:
        done = position.epoch * len(batches) + position.step
        parts = [
            Part(run.shard.rank * each + number, start, held[start - own[0][0] : end - own[0][0]],
                 labels[start - own[0][0] : end - own[0][0]])
            for number, (start, end) in enumerate(own)
        ]  # fmt: skip
        scheduler.step_update(done)
        try:
            loss = update(trainee, parts, len(batches[0]), done)
        except NumericsError as error:
            message = f"training stopped in epoch {position.epoch + 1}, update {position.step + 1}: {error}"
            hint = f"{error.hint}; {_from_before(run)}".lstrip("; ")
            raise NumericsError(message, hint=hint) from error
        position = replace(position, step=position.step + 1, loss_sum=position.loss_sum + loss)
        log.numbers({"update_loss": loss}, done + 1)
        run.progress(done + 1, recipe.epochs * len(batches))
        stopped = any(run.shard.gather(run.stopped()))
        if stopped or (run.save_every and (done + 1) % run.save_every == 0):
            log.flush()
            keeper.keep(position)
        if stopped:
            message = f"interrupted in epoch {position.epoch + 1}, after update {position.step}"
            raise RunInterruptedError(message, hint="the same command with --resume goes on to the same result")
    return position


def _from_before(run: Run) -> str:
    return f"the state before, which is finite: --checkpoint {run.folder / CHECKPOINT}, with another -o"


class _Keeper:
    """Writes and reads the checkpoint of one run."""

    def __init__(self, run: Run, trainee: Trainee, optimizer: Optimizer, identity: Mapping[str, Any]) -> None:
        self.run = run
        self.epochs = trainee.recipe.epochs
        self.net = trainee.net.body
        self.average = None if trainee.average is None else trainee.average.module.body
        self.optimizer = optimizer
        self.identity = identity

    @property
    def _path(self) -> Path:
        return self.run.folder / CHECKPOINT

    @property
    def _scaler(self) -> Any:
        return getattr(self.run.fabric.strategy.precision, "scaler", None)

    def start(self) -> Position:
        """Return where to begin; a new run keeps its first state, so that there always is one to go back to."""
        if not self.run.resume:
            self.keep(Position())
            return Position()
        position, scaler = read_checkpoint(self._path, self.net, self.optimizer, self.identity, self.average)
        if position.epoch > self.epochs or (position.epoch == self.epochs and position.step):
            message = f"{self._path} is of epoch {position.epoch + bool(position.step)}, beyond --epochs {self.epochs}"
            raise CheckpointError(message, hint="give more epochs, or another -o")
        if scaler is not None and self._scaler is not None:
            self._scaler.load_state_dict(dict(scaler))
        return position

    def keep(self, position: Position) -> None:
        """Write the checkpoint, in the leading process."""
        if self.run.shard.leads:
            state = None if self._scaler is None else self._scaler.state_dict()
            write_checkpoint(self._path, self.net, self.optimizer, position, self.identity, state, self.average)


def _check_same(shard: Shard, identity: Mapping[str, Any]) -> None:
    if any(other != identity for other in shard.gather(identity)):
        message = "the processes do not have the same model, data and settings"
        raise UsageError(message, hint="give all of them the same options")


def _evaluated(net: ConvertedModel, validation: DataSource, recipe: TrainingRecipe, run: Run) -> Answers:
    return evaluate(
        net, validation, _EVALUATED[recipe.mode], device=run.fabric.device, seed=recipe.seed, shard=run.shard
    )


def _write_progress(folder: Path, net: ConvertedModel, model: nn.Module, position: Position) -> None:
    write_history(folder, position.history)
    measured = [record["top1"] for record in position.history if record["top1"] is not None]
    if position.history[-1]["top1"] is not None and measured[-1] == max(measured):
        write_weights(folder / BEST, original_state(net, model), _bounded(net))


def _bounded(net: ConvertedModel) -> tuple[str, ...]:
    source = net.recipe.source
    return source.bounded if source is not None else ()


def _finish(
    net: ConvertedModel,
    model: nn.Module,
    validation: DataSource,
    recipe: TrainingRecipe,
    run: Run,
    position: Position,
) -> TrainingOutcome:
    answers = _evaluated(net, validation, recipe, run)
    net.cpu().eval()
    net.reseed(recipe.seed)
    result = deploy(net, model)
    if run.shard.leads:
        write_weights(run.folder / WEIGHTS, original_state(net, model), _bounded(net))
        write_answers(run.folder, answers, validation)
        _draw(run.folder, position, answers)
        place_artifact(result, run.folder)
    run.shard.gather(True)  # no process ends before the files are there
    return TrainingOutcome(position.history, answers, result)


def _draw(folder: Path, position: Position, answers: Answers) -> None:
    from asim_fx.training import drawings

    if drawings.can_draw():
        drawings.draw_curves(position.history, folder)
        drawings.draw_confusion(confusion(answers), folder)
