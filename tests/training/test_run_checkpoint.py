"""The checkpoint of a run, and what several processes must have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from torch import nn

from asim_fx.errors import CheckpointError, UsageError
from asim_fx.sharding import ALONE, Shard
from asim_fx.training.checkpoint import Position, TrainingState
from asim_fx.training.optimizer import create_optimizer
from asim_fx.training.run_checkpoint import CHECKPOINT, RunCheckpoint, refuse_different_processes

from .helper import Differing, recipe


def checkpoint(folder: Path, shard: Shard = ALONE) -> RunCheckpoint:
    net = nn.Linear(3, 2)
    return RunCheckpoint(folder, shard, TrainingState(net, create_optimizer(net, recipe())), {"recipe": "one"})


def test_the_leading_process_writes(tmp_path: Path) -> None:
    checkpoint(tmp_path, Shard(1, 2)).write(Position())
    assert not list(tmp_path.iterdir())
    checkpoint(tmp_path, Shard(0, 2)).write(Position())
    assert [file.name for file in tmp_path.iterdir()] == [CHECKPOINT]


def test_a_longer_run_is_refused(tmp_path: Path) -> None:
    checkpoint(tmp_path).write(Position(2, 1))
    with pytest.raises(CheckpointError, match="is of epoch 3, beyond --epochs 2"):
        checkpoint(tmp_path).read(2)
    assert checkpoint(tmp_path).read(3).position == Position(2, 1)


@pytest.mark.parametrize(
    ("name", "value"),
    [("recipe", "other"), ("checkpoint", (True, 3, 0)), ("weights", "0"), ("number of threads", 1000)],
)
def test_processes_that_differ_are_refused(tmp_path: Path, name: str, value: Any) -> None:
    found = checkpoint(tmp_path, Differing(name, value))
    with pytest.raises(UsageError, match=f"do not start from the same: {name}$"):
        refuse_different_processes(found, Position(), resumed=False)


def test_equal_processes_go_on(tmp_path: Path) -> None:
    refuse_different_processes(checkpoint(tmp_path), Position(), resumed=False)
