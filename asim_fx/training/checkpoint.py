"""The state of a training run in one file without pickle: tensors by safetensors, the rest as JSON in its header."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim import Optimizer

from asim_fx.errors import ArtifactError, CheckpointError, NumericsError
from asim_fx.files import write_atomically
from asim_fx.models.checkpoints import TRAINED, TRAINING
from asim_fx.report import calibrated
from asim_fx.report.calibrated import Calibrations
from asim_fx.training.epoch_record import EpochRecord
from asim_fx.training.optimizer_state import pack_state, unpack_state
from asim_fx.training.update_result import UpdateResult

FORMAT = 4
_MODEL, _OPTIMIZER, _AVERAGE = TRAINED, "optimizer.", "average."
STEADIER = "lower --lr, add --warmup-epochs or --clip-grad"
"""What to do about weights that grow without bounds."""


@dataclass(frozen=True, slots=True)
class Position:
    """How far a run is. Order and draws follow from it and the seed, so no state of a generator is saved.

    Attributes:
        epoch: the one that is under way, from 0.
        step: its updates that are done.
        sums: of the losses, of the cross-entropies and of the right images of these.
        history: one record for each finished epoch, after that of the start.
        calibration: the scales and windows of the epoch that is under way, by site.
        saved_is_good: whether the first update after the last checkpoint had a sane loss; None where there was none
            yet. It is not saved.
    """

    epoch: int = 0
    step: int = 0
    sums: tuple[float, float, int] = (0.0, 0.0, 0)
    history: tuple[EpochRecord, ...] = ()
    calibration: Calibrations = field(default_factory=dict)
    saved_is_good: bool | None = None

    def after(self, result: UpdateResult, *, sane: bool) -> Position:
        """Return the position after one more update of the epoch.

        Args:
            result: of the update.
            sane: whether its loss is one that training can go on from.
        """
        good = sane if self.saved_is_good is None else self.saved_is_good
        loss, cross_entropy, right = self.sums
        sums = (loss + result.loss, cross_entropy + result.cross_entropy, right + result.right)
        return replace(self, step=self.step + 1, sums=sums, saved_is_good=good)


@dataclass(frozen=True)
class TrainingState:
    """What changes from update to update: it is read from where it is, and put back there.

    Attributes:
        net: the model that is trained.
        optimizer: of its parameters.
        average: moving average of ``net``; None where there is none.
        scaler: of the loss in 16-bit precision; None where there is none.
    """

    net: nn.Module
    optimizer: Optimizer
    average: nn.Module | None = None
    scaler: Any = None

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors of the model and its average, by their names in a checkpoint."""
        found = {f"{_MODEL}{name}": tensor for name, tensor in self.net.state_dict().items()}
        if self.average is not None:
            found |= {f"{_AVERAGE}{name}": tensor for name, tensor in self.average.state_dict().items()}
        return found

    def digest(self) -> str:
        """Return a hash of the weights and their average, for comparison."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.tensors().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class ReadCheckpoint:
    """What a checkpoint says beside its state.

    Attributes:
        position: how far the run was.
        threads: of torch in the process that wrote it.
    """

    position: Position
    threads: int


def check_finite(net: nn.Module) -> None:
    """Refuse weights that are no numbers.

    Raises:
        NumericsError: there is one.
    """
    for name, tensor in net.state_dict().items():
        if tensor.is_floating_point() and not _finite(tensor, name):
            message = f"training made {name} NaN or infinite"
            raise NumericsError(message, hint=STEADIER)


def write_checkpoint(path: Path, state: TrainingState, position: Position, identity: Mapping[str, Any]) -> None:
    """Replace the checkpoint at a path, whole or not at all.

    Args:
        path: where.
        state: what is saved. Settings of the optimiser are not: they come from the recipe.
        position: how far the run is.
        identity: plain data that tells this run from others.

    Raises:
        NumericsError: a weight is not a number; the checkpoint stays what it was.
        OutputError: the file cannot be written.
    """
    check_finite(state.net)
    of_optimizer, plain = pack_state(state.optimizer)
    tensors = state.tensors() | {f"{_OPTIMIZER}{name}": tensor for name, tensor in of_optimizer.items()}
    record = {
        "format": FORMAT,
        "epoch": position.epoch,
        "step": position.step,
        "sums": list(position.sums),
        "history": [epoch.to_json() for epoch in position.history],
        "calibration": calibrated.to_json(position.calibration),
        "identity": dict(identity),
        "threads": torch.get_num_threads(),
        "optimizer": plain,
        "scaler": None if state.scaler is None else state.scaler.state_dict(),
    }
    separate = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    write_atomically(path, save(separate, {TRAINING: json.dumps(record)}))


def read_checkpoint(path: Path, state: TrainingState, identity: Mapping[str, Any]) -> ReadCheckpoint:
    """Put a model, its optimiser, average and scaler where a checkpoint left them.

    Raises:
        CheckpointError: there is none, it cannot be read, or it is of another run.
    """
    tensors, record = _read(path)
    saved = record["identity"]
    differing = [key for key in identity if saved.get(key) != identity[key]]
    if differing:
        words = "; ".join(_difference(key, saved.get(key), identity[key]) for key in differing)
        message = f"{path} is of another run: {words}"
        raise CheckpointError(message, hint=_what_to_do(saved, identity, differing))
    try:
        state.net.load_state_dict(_below(_MODEL, tensors), strict=True)
        if state.average is not None:
            state.average.load_state_dict(_below(_AVERAGE, tensors), strict=True)
        unpack_state(state.optimizer, _below(_OPTIMIZER, tensors), record["optimizer"])
        history = tuple(EpochRecord.from_json(epoch) for epoch in record["history"])
        calibration = calibrated.from_json(record["calibration"])
        loss, cross_entropy, right = record["sums"]
    except (ArtifactError, RuntimeError, ValueError, KeyError, TypeError) as error:
        message = f"{path} does not fit the model: {str(error).splitlines()[0]}"
        raise CheckpointError(message) from error
    if state.scaler is not None and record["scaler"] is not None:
        state.scaler.load_state_dict(record["scaler"])
    position = Position(record["epoch"], record["step"], (loss, cross_entropy, right), history, calibration)
    return ReadCheckpoint(position, record["threads"])


def describe_moment(path: Path) -> str:
    """Return in words when a checkpoint was written; the empty string where it cannot be read."""
    try:
        with safe_open(path, framework="pt") as file:
            record = json.loads((file.metadata() or {}).get(TRAINING, "{}"))
        epoch, step = record["epoch"], record["step"]
    except (OSError, ValueError, KeyError, SafetensorError):
        return ""
    if step:
        return f"after update {step} of epoch {epoch + 1}"
    return f"after epoch {epoch}" if epoch else "before the first update"


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): held for name, held in tensors.items() if name.startswith(prefix)}


def _finite(tensor: Tensor, name: str) -> bool:
    if name.rpartition(".")[2] in ("input_scale", "weight_scale"):
        return True  # NaN until it is calibrated
    return bool(torch.isfinite(tensor).all())


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(path, framework="pt") as file:
            record = json.loads((file.metadata() or {}).get(TRAINING, "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except FileNotFoundError as error:
        message = f"there is no checkpoint {path}"
        raise CheckpointError(message, hint="start it without resuming") from error
    except (OSError, ValueError, SafetensorError) as error:
        message = f"cannot read {path}: {error}"
        raise CheckpointError(message) from error
    if record.get("format") != FORMAT:
        message = f"{path} is no checkpoint of asim-train, or of another version"
        raise CheckpointError(message)
    return tensors, record


def _what_to_do(saved: Mapping[str, Any], given: Mapping[str, Any], differing: Sequence[str]) -> str:
    hint = "give the same model, spec, data and settings, or another -o"
    if list(differing) == ["recipe"]:
        before, now = dict(saved["recipe"]), dict(given["recipe"])
        if before.pop("epochs", None) != now.pop("epochs", None) and before == now:
            return (
                "this schedule of the learning rate depends on the number of epochs, so more of them are another run: "
                "start it from this one's weights.safetensors with --checkpoint and another -o. Runs with --sched none "
                "can be made longer"
            )
    return hint


def _difference(key: str, saved: Any, given: Any) -> str:
    if isinstance(saved, dict) and isinstance(given, dict):
        inner = [name for name in given if saved.get(name) != given[name]]
        return ", ".join(f"{name} was {saved.get(name)!r}, is {given[name]!r}" for name in inner) or key
    return f"{key} differs"
