"""The checkpoint of one run: where it lies, and what must agree before it is taken up."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from asim_fx.errors import CheckpointError, UsageError
from asim_fx.sharding import Shard
from asim_fx.training.checkpoint import Position, ReadCheckpoint, TrainingState, read_checkpoint, write_checkpoint

CHECKPOINT = "checkpoint.safetensors"
"""Name of the file in the folder of a run."""
PREVIOUS = "previous-checkpoint.safetensors"
"""The checkpoint before, which is kept while it is not known whether the weights of the last one are any good."""


@dataclass(frozen=True)
class RunCheckpoint:
    """The checkpoint of a run.

    Attributes:
        folder: of the run.
        shard: the share of this process; the leading one writes.
        state: what is saved.
        identity: plain data that tells this run from others.
    """

    folder: Path
    shard: Shard
    state: TrainingState
    identity: Mapping[str, Any]

    def read(self, epochs: int) -> ReadCheckpoint:
        """Put the run where its checkpoint left it.

        Args:
            epochs: that the run is to have.

        Raises:
            CheckpointError: there is none, it cannot be read, or it is of another or a longer run.
        """
        path = self.folder / CHECKPOINT
        found = read_checkpoint(path, self.state, self.identity)
        position = found.position
        if position.epoch > epochs or (position.epoch == epochs and position.step):
            message = f"{path} is of epoch {position.epoch + bool(position.step)}, beyond --epochs {epochs}"
            raise CheckpointError(message, hint="give more epochs, or another -o")
        return found

    def write(self, position: Position) -> Position:
        """Replace the checkpoint, in the leading process, and return the position with a checkpoint not yet checked.

        The one that is replaced is kept beside it if an update that started from its weights had a sane loss.
        """
        if self.shard.leads:
            if position.saved_is_good:
                _link(self.folder / CHECKPOINT, self.folder / PREVIOUS)
            write_checkpoint(self.folder / CHECKPOINT, self.state, position, self.identity)
        return replace(position, saved_is_good=None)

    def last_good(self, position: Position) -> Path:
        """Return the file of the last weights that are known to be good."""
        previous = self.folder / PREVIOUS
        return previous if not position.saved_is_good and previous.exists() else self.folder / CHECKPOINT

    def forget_previous(self) -> None:
        """Remove the checkpoint before, when the run is over."""
        if self.shard.leads:
            (self.folder / PREVIOUS).unlink(missing_ok=True)


def refuse_different_processes(checkpoint: RunCheckpoint, position: Position, *, resumed: bool) -> None:
    """Compare what all processes start from.

    Args:
        checkpoint: of the run.
        position: where this process starts.
        resumed: whether that is from a checkpoint.

    Raises:
        UsageError: the processes differ.
    """
    facts = {
        **checkpoint.identity,
        "checkpoint": (resumed, position.epoch, position.step),
        "weights": checkpoint.state.digest(),
        "number of threads": torch.get_num_threads(),
    }
    everyone = checkpoint.shard.gather(facts)
    differing = [name for name in facts if any(other[name] != everyone[0][name] for other in everyone)]
    if differing:
        message = f"the processes do not start from the same: {', '.join(differing)}"
        hint = "give all of them the same options, files and OMP_NUM_THREADS; to resume, all must see the checkpoint"
        raise UsageError(message, hint=hint)


def _link(path: Path, other: Path) -> None:
    """Let another name be that of the present content of a file, whole or not at all."""
    temporary = other.with_name(f".{other.name}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        os.link(path, temporary)
    except OSError:  # a file system without links
        shutil.copyfile(path, temporary)
    temporary.replace(other)
