"""What the steps of a run share: where it happens, what is trained, and on what."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning_fabric import Fabric
from torch import nn

from asim_fx.data import DataSource
from asim_fx.data.datasets import ImageList
from asim_fx.errors import NumericsError
from asim_fx.sharding import ALONE, Shard
from asim_fx.training.calibration_set import (
    CalibrationSet,
)
from asim_fx.training.checkpoint import Position, describe_moment
from asim_fx.training.epoch_record import EpochRecord, Fidelity
from asim_fx.training.evaluation import EVALUATED_AS, Answers, evaluate
from asim_fx.training.run_checkpoint import RunCheckpoint
from asim_fx.training.step import Trainee


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
class Training:
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


def evaluate_kept(training: Training, fidelity: Fidelity | None = None) -> Answers:
    """Return what the kept model answers, as its mode is evaluated or at another fidelity."""
    run, recipe = training.run, training.trainee.recipe
    fidelity, device = fidelity or EVALUATED_AS[recipe.mode], run.fabric.device
    kept = training.trainee.kept
    return evaluate(kept, training.validation, fidelity, device=device, seed=recipe.seed, shard=run.shard)


@contextmanager
def saying_where(training: Training, position: Position, where: str) -> Iterator[None]:
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
