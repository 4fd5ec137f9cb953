"""In what a model differs from the one that an artifact was made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

_SHOWN = 3


def weight_differences(model: nn.Module, saved: Mapping[str, Tensor]) -> str:
    """Say which weight matrices and kernels of a model are missing, new or of another shape; empty for none.

    Vectors are not compared: folding a batch norm takes some away and adds others.

    Args:
        model: as it was given.
        saved: the weights of the converted model.
    """
    then = {name: tuple(tensor.shape) for name, tensor in saved.items() if tensor.ndim > 1 and ".cim." not in name}
    now = {name: tuple(tensor.shape) for name, tensor in model.named_parameters() if tensor.ndim > 1}
    other = [f"{name} is {now[name]}, not {shape}" for name, shape in then.items() if now.get(name, shape) != shape]
    parts = [
        _some("it has no", [f"{name} {shape}" for name, shape in then.items() if name not in now]),
        _some("", other),
        _some("it has besides", [f"{name} {shape}" for name, shape in now.items() if name not in then]),
    ]
    return "; ".join(part for part in parts if part)


def _some(words: str, items: Sequence[str]) -> str:
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return f"{words} {', '.join(items[:_SHOWN])}{more}".strip() if items else ""
