"""A checkpoint is whole, says whose it is, and brings everything back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from asim_fx.errors import CheckpointError, NumericsError
from asim_fx.report.calibrated import ScaleChoice, SiteCalibration, WindowChoice
from asim_fx.training.checkpoint import (
    Position,
    TrainingState,
    check_finite,
    describe_moment,
    read_checkpoint,
    write_checkpoint,
)
from asim_fx.training.optimizer import create_optimizer
from asim_fx.training.update_result import UpdateResult

from .helper import recipe, record

IDENTITY = {"recipe": {"lr": 0.1, "epochs": 2}, "training data": "digits"}
RECORD = record(train_loss=0.123456789012345)
SCALE = ScaleChoice(method="max", percentile=None, scale=0.1, clipped=0.25, values=7)
WINDOW = WindowChoice("mse", None, 1.0, 9.0, 0.0, float("inf"), None, 5)
POSITION = Position(1, 2, (0.7, 0.6, 5), (RECORD,), {"fc": SiteCalibration(input=SCALE, window=WINDOW)})


class Scaler:
    """Stands for torch's loss scaler."""

    def __init__(self, scale: float) -> None:
        self.scale = scale

    def state_dict(self) -> dict[str, Any]:
        return {"scale": self.scale}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.scale = state["scale"]


def state(seed: int, updates: int = 0) -> TrainingState:
    torch.manual_seed(seed)
    net, average = nn.Linear(3, 2), nn.Linear(3, 2)
    optimizer = create_optimizer(net, recipe(opt="lamb"))
    for _ in range(updates):
        net(torch.randn(4, 3)).square().sum().backward()
        optimizer.step()
    return TrainingState(net, optimizer, average, Scaler(float(seed)))


def test_everything_comes_back(tmp_path: Path) -> None:
    path, before, after = tmp_path / "checkpoint.safetensors", state(1, updates=2), state(2)
    write_checkpoint(path, before, POSITION, IDENTITY)
    assert before.digest() != after.digest()
    found = read_checkpoint(path, after, IDENTITY)
    assert found.position == POSITION
    assert found.threads == torch.get_num_threads()
    assert before.digest() == after.digest()
    assert after.scaler.scale == 1.0
    for one in (before, after):
        one.net.zero_grad()
        one.net(torch.ones(4, 3)).square().sum().backward()
        one.optimizer.step()
    assert torch.equal(before.net.weight, after.net.weight)


def test_the_digest_sees_weights_and_their_average() -> None:
    one = state(1)
    digest = one.digest()
    assert state(1).digest() == digest
    one.average.bias.data[0] += 1
    assert one.digest() != digest


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_leave_the_file_as_it_was(tmp_path: Path, value: float) -> None:
    path, held = tmp_path / "checkpoint.safetensors", state(1)
    write_checkpoint(path, held, POSITION, IDENTITY)
    before = path.read_bytes()
    held.net.weight.data[0, 0] = value
    with pytest.raises(NumericsError, match="training made weight NaN or infinite"):
        check_finite(held.net)
    with pytest.raises(NumericsError):
        write_checkpoint(path, held, POSITION, IDENTITY)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("identity", "words"),
    [
        ({**IDENTITY, "recipe": {"lr": 0.2, "epochs": 2}}, r"lr was 0\.1, is 0\.2"),
        ({**IDENTITY, "training data": "other"}, "training data differs"),
    ],
)
def test_another_run_is_refused_and_nothing_is_loaded(tmp_path: Path, identity: dict[str, Any], words: str) -> None:
    path, other = tmp_path / "checkpoint.safetensors", state(2)
    write_checkpoint(path, state(1), POSITION, IDENTITY)
    digest = other.digest()
    with pytest.raises(CheckpointError, match=words):
        read_checkpoint(path, other, identity)
    assert other.digest() == digest


def test_more_epochs_of_a_schedule_that_ends_are_explained(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    write_checkpoint(path, state(1), POSITION, IDENTITY)
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path, state(1), {**IDENTITY, "recipe": {"lr": 0.1, "epochs": 3}})
    assert "--sched none" in caught.value.hint


def test_another_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    write_checkpoint(path, state(1), POSITION, IDENTITY)
    net = nn.Linear(4, 2)
    with pytest.raises(CheckpointError, match="does not fit the model"):
        read_checkpoint(path, TrainingState(net, create_optimizer(net, recipe())), IDENTITY)


@pytest.mark.parametrize("content", [None, b"half of a file"])
def test_a_missing_or_broken_file(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "checkpoint.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match="no checkpoint" if content is None else "cannot read"):
        read_checkpoint(path, state(1), IDENTITY)


@pytest.mark.parametrize(
    ("position", "words"),
    [
        (Position(), "before the first update"),
        (Position(2), "after epoch 2"),
        (Position(2, 5), "after update 5 of epoch 3"),
    ],
)
def test_a_checkpoint_says_when_it_was_written(tmp_path: Path, position: Position, words: str) -> None:
    path = tmp_path / "checkpoint.safetensors"
    assert describe_moment(path) == ""
    write_checkpoint(path, state(1), position, IDENTITY)
    assert describe_moment(path) == words


def test_the_first_update_after_a_checkpoint_decides_whether_it_is_good() -> None:
    result = UpdateResult(loss=1.5, cross_entropy=1.0, right=3)
    position = Position().after(result, sane=False).after(result, sane=True)
    assert position.sums == (3.0, 2.0, 6)
    assert position.step == 2
    assert position.saved_is_good is False
