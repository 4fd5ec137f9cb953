"""What a converted model takes: checked at every call, and kept in an artifact to capture the model again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from asim_fx.capture.example import InputLeaf, argument_names, in_order, leaf_name, named_arguments
from asim_fx.capture.export import Captured
from asim_fx.errors import InputError

_EXAMPLE_SEED = 0


@dataclass(frozen=True, slots=True)
class Constant:
    """An argument that is no tensor and was fixed when the model was captured."""

    value: Any


@dataclass(frozen=True, slots=True)
class InputSignature:
    """The arguments of a captured model.

    Attributes:
        leaves: tensors and constants, in the order of the call.
        structure: how tuples, dicts and keywords hold them, as torch's pytree writes it.
        fixed_batch: samples of every call, where their number is fixed and part of the shapes.
    """

    leaves: tuple[InputLeaf | Constant, ...]
    structure: str
    fixed_batch: int | None = None

    @classmethod
    def of(cls, captured: Captured) -> InputSignature:
        """Return the signature of a captured model."""
        values, structure = pytree.tree_flatten((captured.example_args, captured.example_kwargs))
        tensors = iter(captured.input_signature)
        leaves = tuple(next(tensors) if isinstance(value, Tensor) else Constant(value) for value in values)
        return cls(leaves, pytree.treespec_dumps(structure), captured.fixed_batch)

    @classmethod
    def of_example(cls, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> InputSignature:
        """Return the signature of a model in parts: the example's own shapes, none of them a batch."""
        kwargs = in_order(kwargs, argument_names(model.forward))
        named = named_arguments(model, args, kwargs)
        values, structure = pytree.tree_flatten((args, kwargs))
        paths, _ = pytree.tree_flatten_with_path(named)
        names = iter(leaf_name(path) for path, leaf in paths if isinstance(leaf, Tensor))
        leaves = tuple(
            InputLeaf(next(names), tuple(value.shape), value.dtype) if isinstance(value, Tensor) else Constant(value)
            for value in values
        )
        return cls(leaves, pytree.treespec_dumps(structure))

    def check(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int:
        """Return the size of the batch.

        Args:
            args: positional arguments.
            kwargs: keyword arguments, in the order of the captured ones.

        Raises:
            InputError: an argument is missing, or has another shape or dtype than the captured one.
        """
        values = pytree.tree_leaves((args, dict(kwargs)))
        if len(values) != len(self.leaves):
            expected = ", ".join(leaf.name for leaf in self.leaves if isinstance(leaf, InputLeaf))
            message = f"the model was captured with the arguments ({expected}); this call has {len(values)}"
            raise InputError(message)
        batch: int | None = None
        for leaf, value in zip(self.leaves, values, strict=True):
            if isinstance(leaf, InputLeaf):
                batch = _check_tensor(leaf, value, batch, fixed=self.fixed_batch)
            elif value is not leaf.value and value != leaf.value:
                message = f"an argument was {leaf.value!r} when the model was captured, and is {value!r} now"
                raise InputError(message, hint="convert the model again with the other value")
        return batch or self.fixed_batch or 0

    def example(self, batch: int = 2) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return random arguments of this form, the same at every call."""
        generator = torch.Generator().manual_seed(_EXAMPLE_SEED)
        values = [leaf.value if isinstance(leaf, Constant) else _random(leaf, batch, generator) for leaf in self.leaves]
        args, kwargs = pytree.tree_unflatten(values, pytree.treespec_loads(self.structure))
        return tuple(args), dict(kwargs)

    def to_json(self) -> dict[str, Any]:
        """Return plain data that ``from_json`` reads back."""
        leaves = [_leaf_to_json(leaf) for leaf in self.leaves]
        return {"structure": self.structure, "leaves": leaves, "fixed_batch": self.fixed_batch}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> InputSignature:
        """Return what ``to_json`` wrote.

        Raises:
            KeyError, TypeError, ValueError: the data is something else.
        """
        leaves = tuple(_leaf_from_json(leaf) for leaf in data["leaves"])
        structure = str(data["structure"])
        if pytree.treespec_loads(structure).num_leaves != len(leaves):
            message = "the structure of the inputs does not fit their number"
            raise ValueError(message)
        fixed = data.get("fixed_batch")
        return cls(leaves, structure, None if fixed is None else int(fixed))


def _check_tensor(leaf: InputLeaf, value: Any, batch: int | None, *, fixed: int | None) -> int | None:
    if not isinstance(value, Tensor):
        message = f"{leaf.name} must be a tensor, not {type(value).__name__}"
        raise InputError(message)
    if value.dtype != leaf.dtype:
        message = f"{leaf.name} must be {leaf.dtype}, not {value.dtype}"
        raise InputError(message, hint="the model was captured with this dtype; convert it again with the other one")
    fits = value.dim() == len(leaf.shape) and all(
        wanted is None or size == wanted for size, wanted in zip(value.shape, leaf.shape, strict=True)
    )
    if not fits:
        message = f"{leaf.name} must have the shape {_words(leaf.shape)}, not {_words(tuple(value.shape))}"
        hint = "the model was captured with this size; convert it again with the other one"
        if fixed is not None:
            hint = f"the model was exported for this size, {fixed} samples a call; export it with a dynamic batch"
        raise InputError(message, hint=hint)
    if None not in leaf.shape:
        return batch
    size = value.shape[leaf.shape.index(None)]
    if batch is not None and size != batch:
        message = f"{leaf.name} holds {size} samples, another input {batch}"
        raise InputError(message)
    return size


def _words(shape: tuple[int | None, ...]) -> str:
    return "(" + ", ".join("batch" if size is None else str(size) for size in shape) + ")"


def _random(leaf: InputLeaf, batch: int, generator: torch.Generator) -> Tensor:
    shape = [batch if size is None else size for size in leaf.shape]
    if leaf.dtype.is_floating_point or leaf.dtype.is_complex:
        return torch.randn(shape, generator=generator).to(leaf.dtype)
    return torch.randint(0, 2, shape, generator=generator).to(leaf.dtype)


def _leaf_to_json(leaf: InputLeaf | Constant) -> dict[str, Any]:
    if isinstance(leaf, Constant):
        return {"constant": leaf.value}
    return {"name": leaf.name, "shape": list(leaf.shape), "dtype": str(leaf.dtype).removeprefix("torch.")}


def _leaf_from_json(data: Mapping[str, Any]) -> InputLeaf | Constant:
    if "constant" in data:
        return Constant(data["constant"])
    dtype = getattr(torch, data["dtype"], None)
    if not isinstance(dtype, torch.dtype):
        message = f"no dtype {data['dtype']!r}"
        raise ValueError(message)  # noqa: TRY004 (the file is wrong, not the caller)
    return InputLeaf(str(data["name"]), tuple(None if size is None else int(size) for size in data["shape"]), dtype)
