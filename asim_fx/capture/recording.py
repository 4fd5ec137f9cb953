"""What every module of a model is called with, and what it multiplies, in one forward pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from asim_fx.capture.check import fixed_random_numbers
from asim_fx.graph.macs import FlopCounter, eager_reference

_PLAIN = (Tensor, bool, int, float, str, type(None))


@dataclass(frozen=True, slots=True)
class Call:
    """How a module is called in one forward pass.

    Attributes:
        args: positional arguments of its first call; floating-point tensors are on the meta device, to keep only their
            shapes in memory.
        kwargs: keyword arguments, likewise.
        times: how often it is called.
        macs: multiply-accumulates that it dispatches in all its calls.
    """

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    times: int = 0
    macs: int = 0

    @property
    def is_plain(self) -> bool:
        """Whether all that it takes are tensors, numbers and words, in lists, tuples and dicts."""
        return all(isinstance(leaf, _PLAIN) for leaf in pytree.tree_leaves((self.args, self.kwargs)))


def record_calls(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Call]:
    """Run a model once and return the calls of its modules by qualified name; the model itself has the empty name.

    Whatever the model raises is the caller's to handle.
    """
    calls: dict[str, Call] = {}
    begun: dict[str, int] = {}
    counter = FlopCounter()

    def before(name: str) -> Any:
        def hook(_: nn.Module, given: tuple[Any, ...], keywords: dict[str, Any]) -> None:
            begun[name] = counter.flops
            if name not in calls:
                calls[name] = Call(*pytree.tree_map(_shape_only, (given, keywords)))

        return hook

    def after(name: str) -> Any:
        def hook(*_: Any) -> None:
            call = calls[name]
            macs = call.macs + (counter.flops - begun[name]) // 2
            calls[name] = Call(call.args, call.kwargs, call.times + 1, macs)

        return hook

    handles = []
    for name, module in model.named_modules():
        handles += [
            module.register_forward_pre_hook(before(name), with_kwargs=True),
            module.register_forward_hook(after(name)),
        ]
    try:
        with fixed_random_numbers(), torch.no_grad(), eager_reference(), counter:
            model(*args, **kwargs)
    finally:
        for handle in handles:
            handle.remove()
    return calls


def _shape_only(leaf: Any) -> Any:
    if not isinstance(leaf, Tensor):
        return leaf
    return leaf.to("meta") if leaf.is_floating_point() else leaf.clone()
