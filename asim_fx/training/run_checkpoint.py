"""The checkpoint of one run: where it lies, and what must agree before it is taken up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from asim_fx.errors import CheckpointError, UsageError
from asim_fx.sharding import Shard
from asim_fx.training.checkpoint import Position, ReadCheckpoint, TrainingState, read_checkpoint, write_checkpoint

CHECKPOINT = "checkpoint.safetensors"
"""Name of the file in the folder of a run."""


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

    def write(self, position: Position) -> None:
        """Replace the checkpoint, in the leading process."""
        if self.shard.leads:
            write_checkpoint(self.folder / CHECKPOINT, self.state, position, self.identity)


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
