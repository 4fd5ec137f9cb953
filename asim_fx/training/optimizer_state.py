"""The state of an optimiser as tensors and plain data, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

Plain = dict[str, dict[str, dict[str, Any]]]
"""``state`` and ``groups``, each by number of the parameter or group, then by key."""

_SCALARS = (bool, int, float, str)
_SETTINGS = ("params", "lr")
"""Entries of a group that the model and the schedule give."""


def pack_state(optimizer: Optimizer) -> tuple[dict[str, Tensor], Plain]:
    """Return the state of an optimiser: tensors by ``state.NUMBER.KEY`` or ``groups.NUMBER.KEY``, and all scalars.

    Some optimisers count their steps in the parameter groups, so scalars and tensors there are state too. Other
    entries of a group (pairs of betas, dtypes) are settings, which the recipe gives.

    Raises:
        TypeError: a parameter has state of another kind.
    """
    saved = optimizer.state_dict()
    tensors: dict[str, Tensor] = {}
    plain: Plain = {"state": {}, "groups": {}}
    entries = [("state", number, key, value) for number, held in saved["state"].items() for key, value in held.items()]
    for number, group in enumerate(saved["param_groups"]):
        changing = {key: value for key, value in group.items() if key not in _SETTINGS}
        entries += [("groups", number, key, value) for key, value in changing.items() if _can_be_saved(value)]
    for kind, number, key, value in entries:
        if isinstance(value, Tensor):
            tensors[f"{kind}.{number}.{key}"] = value
        elif value is None or isinstance(value, _SCALARS):
            plain[kind].setdefault(str(number), {})[key] = value
        else:
            message = f"a checkpoint cannot hold its {key!r}, which is a {type(value).__name__}"
            raise TypeError(message)
    return tensors, plain


def unpack_state(optimizer: Optimizer, tensors: Mapping[str, Tensor], plain: Plain) -> None:
    """Give an optimiser the state that ``pack_state`` returned.

    Raises:
        ValueError: it is that of another optimiser or model.
    """
    merged = {kind: {number: dict(held) for number, held in plain[kind].items()} for kind in ("state", "groups")}
    for name, tensor in tensors.items():
        kind, number, key = name.split(".", 2)
        merged[kind].setdefault(number, {})[key] = tensor
    current = optimizer.state_dict()
    groups = [{**group, **merged["groups"].get(str(n), {})} for n, group in enumerate(current["param_groups"])]
    state = {int(number): held for number, held in merged["state"].items()}
    optimizer.load_state_dict({**current, "state": state, "param_groups": groups})


def _can_be_saved(value: Any) -> bool:
    return isinstance(value, (Tensor, *_SCALARS))
