"""The state of a training run in one file without pickle: tensors by safetensors, the rest as JSON in its header."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim import Optimizer

from asim_fx.errors import CheckpointError, NumericsError
from asim_fx.files import write_atomically
from asim_fx.models.checkpoints import TRAINED, TRAINING

FORMAT = 2
_MODEL, _OPTIMIZER, _AVERAGE = TRAINED, "optimizer.", "average."


@dataclass(frozen=True, slots=True)
class Position:
    """How far a run is. Order and draws follow from it and the seed, so no state of a generator is saved.

    Attributes:
        epoch: the one that is under way, from 0.
        step: its updates that are done.
        loss_sum: of the losses of these.
        history: one record for each finished epoch.
    """

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    history: tuple[Mapping[str, Any], ...] = ()


def write_checkpoint(
    path: Path,
    net: nn.Module,
    optimizer: Optimizer,
    position: Position,
    identity: Mapping[str, Any],
    scaler: Mapping[str, Any] | None = None,
    average: nn.Module | None = None,
) -> None:
    """Replace the checkpoint at a path, whole or not at all.

    Args:
        path: where.
        net: its state dict is saved.
        optimizer: its state is saved; its settings come from the recipe.
        position: how far the run is.
        identity: plain data that tells this run from others.
        scaler: state of the loss scaler of 16-bit precision.
        average: moving average of ``net``.

    Raises:
        NumericsError: a weight is not a number; the checkpoint stays what it was.
        OutputError: the file cannot be written.
    """
    tensors = {f"{_MODEL}{name}": tensor for name, tensor in net.state_dict().items()}
    spoilt = [name for name, tensor in tensors.items() if tensor.is_floating_point() and not _finite(tensor, name)]
    if spoilt:
        message = f"training made {spoilt[0].removeprefix(_MODEL)} NaN or infinite"
        raise NumericsError(message, hint="lower --lr, add --warmup-epochs or --clip-grad")
    if average is not None:
        tensors |= {f"{_AVERAGE}{name}": tensor for name, tensor in average.state_dict().items()}
    plain: dict[str, dict[str, Any]] = {}
    for number, state in optimizer.state_dict()["state"].items():
        for key, value in state.items():
            if isinstance(value, Tensor):
                tensors[f"{_OPTIMIZER}{number}.{key}"] = value
            else:
                plain.setdefault(str(number), {})[key] = value
    record = {
        "format": FORMAT,
        "epoch": position.epoch,
        "step": position.step,
        "loss_sum": position.loss_sum,
        "history": list(position.history),
        "identity": dict(identity),
        "optimizer": plain,
        "scaler": None if scaler is None else dict(scaler),
    }
    separate = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    write_atomically(path, save(separate, {TRAINING: json.dumps(record)}))


def read_checkpoint(
    path: Path,
    net: nn.Module,
    optimizer: Optimizer,
    identity: Mapping[str, Any],
    average: nn.Module | None = None,
) -> tuple[Position, Mapping[str, Any] | None]:
    """Put a model, its optimiser and average where a checkpoint left them; return the position and the scaler's state.

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
        net.load_state_dict(_below(_MODEL, tensors), strict=True)
        if average is not None:
            average.load_state_dict(_below(_AVERAGE, tensors), strict=True)
        optimizer.load_state_dict({**optimizer.state_dict(), "state": _optimizer_state(tensors, record)})
    except (RuntimeError, ValueError, KeyError) as error:
        message = f"{path} does not fit the model: {str(error).splitlines()[0]}"
        raise CheckpointError(message) from error
    position = Position(record["epoch"], record["step"], record["loss_sum"], tuple(record["history"]))
    return position, record["scaler"]


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


def _optimizer_state(tensors: Mapping[str, Tensor], record: Mapping[str, Any]) -> dict[int, dict[str, Any]]:
    state: dict[int, dict[str, Any]] = {int(number): dict(held) for number, held in record["optimizer"].items()}
    for name, tensor in tensors.items():
        if name.startswith(_OPTIMIZER):
            number, _, key = name.removeprefix(_OPTIMIZER).partition(".")
            state.setdefault(int(number), {})[key] = tensor
    return state


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
