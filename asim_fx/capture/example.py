"""The example that a model is captured with: its batch, its tensors by name, random inputs like it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from asim_fx.errors import InputError

_SEED = 20210


@dataclass(frozen=True, slots=True)
class InputLeaf:
    """One tensor that the model takes.

    Attributes:
        name: where it stands in the call: ``x``, ``images[0]``, ``mask['left']``.
        shape: its shape, None where the batch is.
        dtype: its dtype.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: torch.dtype


def named_arguments(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments by the names of the model's ``forward``."""
    try:
        return dict(inspect.signature(model.forward).bind(*args, **kwargs).arguments)
    except TypeError as error:
        message = f"{type(model).__name__}.forward does not take these inputs: {error}"
        raise InputError(message) from error


def argument_names(function: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names of what a function takes, in order."""
    return tuple(inspect.signature(function).parameters)


def in_order(kwargs: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return keyword arguments in the order of these names, the others last: a call may give them in any order."""
    first = {name: kwargs[name] for name in names if name in kwargs}
    return {**first, **kwargs}


def at_least_two(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[int, tuple[Any, ...], dict[str, Any]]:
    """Return the batch and the arguments, a batch of one repeated: export takes sizes 0 and 1 for constants."""
    # One tensor given twice would become one input of the graph.
    args, kwargs = pytree.tree_map(lambda leaf: leaf.clone() if isinstance(leaf, Tensor) else leaf, (args, kwargs))
    batch = batch_of((args, kwargs))
    if batch == 1:
        args, kwargs = with_batch((args, kwargs), 1, lambda leaf: torch.cat([leaf, leaf]))
        batch = 2
    return batch, args, kwargs


def batch_of(example: Any) -> int:
    """Return dimension 0 of the first tensor that has one."""
    for leaf in pytree.tree_leaves(example):
        if isinstance(leaf, Tensor) and leaf.ndim > 0:
            if leaf.shape[0] == 0:
                message = "the example input holds no sample: its first dimension is 0"
                raise InputError(message)
            return int(leaf.shape[0])
    message = "the example inputs hold no tensor with a batch dimension"
    raise InputError(message)


def is_batched(leaf: Any, batch: int) -> bool:
    """Return whether a leaf is a tensor with this batch."""
    return isinstance(leaf, Tensor) and leaf.ndim > 0 and leaf.shape[0] == batch


def with_batch(example: Any, batch: int, change: Any) -> Any:
    """Return the example with every batched tensor changed."""
    return pytree.tree_map(lambda leaf: change(leaf) if is_batched(leaf, batch) else leaf, example)


def random_like(example: Any, batch: int, size: int) -> Any:
    """Return random inputs like the example, with another batch; integers and booleans are the example's own rows."""
    generator = torch.Generator().manual_seed(_SEED + size)

    def draw(leaf: Tensor) -> Tensor:
        shape = (size, *leaf.shape[1:])
        if leaf.is_meta:  # no values are wanted, and those of a large image may fit nowhere
            return torch.empty(shape, dtype=leaf.dtype, device=leaf.device)
        if leaf.is_floating_point() or leaf.is_complex():
            return torch.randn(shape, generator=generator, dtype=leaf.dtype).to(leaf.device)
        picks = torch.randint(batch, (size,), generator=generator).to(leaf.device)
        return leaf[picks]

    return with_batch(example, batch, draw)


def tensors(value: Any) -> list[Tensor]:
    """Return the tensors in a structure, in order."""
    return [leaf for leaf in pytree.tree_leaves(value) if isinstance(leaf, Tensor)]


def signature(named: dict[str, Any], *, fixed: bool = False) -> tuple[InputLeaf, ...]:
    """Return the tensors that the model takes, by name; where the batch is fixed, with it in their shapes."""
    original = batch_of(named)
    leaves = []
    for path, leaf in pytree.tree_flatten_with_path(named)[0]:
        if isinstance(leaf, Tensor):
            shape: tuple[int | None, ...] = tuple(leaf.shape)
            if is_batched(leaf, original) and not fixed:
                shape = (None, *shape[1:])
            leaves.append(InputLeaf(leaf_name(path), shape, leaf.dtype))
    return tuple(leaves)


def leaf_name(path: tuple[Any, ...]) -> str:
    """Return where a tensor stands among named arguments, as an InputLeaf says it."""
    first, rest = path[0], path[1:]
    assert isinstance(first, pytree.MappingKey)
    return str(first.key) + pytree.keystr(rest)
