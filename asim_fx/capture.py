"""Capture a model as a graph with torch.export, and check that the graph is the model."""

from __future__ import annotations

import copy
import inspect
import traceback
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim
from torch.fx import GraphModule
from torch.utils import _pytree as pytree

from asim_fx.errors import CaptureError, InputError
from asim_fx.macs import eager_reference, graph_macs, run_and_count

MAX_BATCH = 65536
_TOLERANCES = {torch.float64: 1e-4, torch.float32: 1e-4, torch.float16: 2e-2, torch.bfloat16: 5e-2}
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


@dataclass(frozen=True, slots=True)
class Captured:
    """A model as a graph.

    Attributes:
        graph_module: the graph in eval mode, batch symbolic; keys of its state_dict are the model's.
        batch: size of the example's batch.
        example_args: the example's positional arguments, at that batch.
        example_kwargs: its keyword arguments.
        input_signature: the tensors among them, in the order of the call.
        eager_macs: multiply-accumulates that eager execution dispatched at that batch; None where not run.
        verification: what was checked, in words.
    """

    graph_module: GraphModule
    batch: int
    example_args: tuple[Any, ...]
    example_kwargs: dict[str, Any]
    input_signature: tuple[InputLeaf, ...]
    eager_macs: int | None
    verification: str


def capture(
    model: nn.Module,
    example_inputs: Tensor | tuple[Any, ...],
    example_kwargs: Mapping[str, Any] | None = None,
    *,
    verify: bool = True,
) -> Captured:
    """Capture a model in eval mode as a graph with a symbolic batch.

    Args:
        model: any module that torch.export takes; it is not changed.
        example_inputs: one tensor, or the tuple of positional arguments. Dimension 0 of every tensor whose size is the first
            tensor's is the batch; a batch of 1 is repeated to 2.
        example_kwargs: keyword arguments of the call.
        verify: whether to run the model beside its graph. On the meta device only shapes and MACs can be compared.

    Returns:
        the graph and what is known of it.

    Raises:
        InputError: the model itself refuses the example.
        CaptureError: torch.export cannot capture the model, or the graph is not the model.
    """
    args = example_inputs if isinstance(example_inputs, tuple) else (example_inputs,)
    named = _named_arguments(model, args, dict(example_kwargs or {}))
    batch, args, kwargs = _at_least_two(args, dict(example_kwargs or {}))
    subject = _own_copy(model)
    macs = result = None
    if verify:
        # Caches that a forward pass fills must not be seen by export: run a second shell around the same parameters.
        reference = copy.deepcopy(subject, {id(p): p for p in subject.parameters()})
        result, macs = _run_model(reference, args, kwargs)
    graph_module = _export(subject, named, args, kwargs, batch)
    _check_keys(model, graph_module)
    verification = "not verified"
    if verify:
        assert macs is not None
        _check_macs(graph_module, macs)
        checked = f"MACs equal ({_scaled(macs)} at batch {batch})"
        if _on_meta(subject, args, kwargs):
            verification = f"{checked}; values unverified (meta device)"
        else:
            verification = f"{checked}; {_check_values(reference, graph_module, args, kwargs, batch)}"
    return Captured(graph_module, batch, args, kwargs, _signature(named, batch), macs, verification)


def _own_copy(model: nn.Module) -> nn.Module:
    try:
        return copy.deepcopy(model).eval()
    except Exception as error:
        message = f"the model cannot be copied: {_one_line(error)}"
        hint = "Tensors that a module computes and keeps (old weight_norm, caches) must be parameters or buffers."
        raise CaptureError(message, hint=hint) from error


def _named_arguments(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    try:
        return dict(inspect.signature(model.forward).bind(*args, **kwargs).arguments)
    except TypeError as error:
        message = f"{type(model).__name__}.forward does not take these inputs: {error}"
        raise InputError(message) from error


def _at_least_two(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[int, tuple[Any, ...], dict[str, Any]]:
    batch = _batch_of((args, kwargs))
    if batch == 1:
        args, kwargs = _with_batch((args, kwargs), 1, lambda leaf: torch.cat([leaf, leaf]))
        batch = 2
    return batch, args, kwargs


def _batch_of(example: Any) -> int:
    for leaf in pytree.tree_leaves(example):
        if isinstance(leaf, Tensor) and leaf.ndim > 0:
            if leaf.shape[0] == 0:
                message = "the example input holds no sample: its first dimension is 0"
                raise InputError(message)
            return int(leaf.shape[0])
    message = "the example inputs hold no tensor with a batch dimension"
    raise InputError(message)


def _is_batched(leaf: Any, batch: int) -> bool:
    return isinstance(leaf, Tensor) and leaf.ndim > 0 and leaf.shape[0] == batch


def _with_batch(example: Any, batch: int, change: Any) -> Any:
    return pytree.tree_map(lambda leaf: change(leaf) if _is_batched(leaf, batch) else leaf, example)


def _run_model(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, int]:
    try:
        with _fixed_random_numbers():
            return run_and_count(model, args, kwargs)
    except Exception as error:
        shapes = ", ".join(str(tuple(leaf.shape)) for leaf in _tensors((args, kwargs)))
        message = f"the model does not run on an input of shape {shapes}: {_one_line(error)}"
        raise InputError(message, hint="Give an example of the size that the model was built for.") from error


def _export(
    subject: nn.Module, named: dict[str, Any], args: tuple[Any, ...], kwargs: dict[str, Any], batch: int
) -> GraphModule:
    original = _batch_of(named)
    dim = Dim("batch", min=1, max=MAX_BATCH)
    shapes = pytree.tree_map(lambda leaf: {0: dim} if _is_batched(leaf, original) else None, named)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.export.export(subject, args, kwargs, dynamic_shapes=shapes, strict=False)
            exported = program.module(check_guards=False)
    except Exception as error:
        message = f"torch.export cannot capture {type(subject).__name__}: {_one_line(error)}"
        raise CaptureError(message, hint=_hint(error, batch)) from error
    assert isinstance(exported, GraphModule)
    # A plain GraphModule trains, evaluates and copies as any module does; the exported one refuses train().
    graph_module = GraphModule(exported, exported.graph)
    graph_module.meta.update(exported.meta)
    return graph_module.eval()


def _hint(error: Exception, batch: int) -> str:
    text = f"{type(error).__name__} {error}"
    if "specialized" in text or "Constraints violated" in text:
        return f"The model fixes its batch at {batch}; it must work for any batch (use -1 or x.shape[0] in its reshapes)."
    if "DataDependent" in text or "data-dependent" in text:
        return "The model branches on values of its input; convert the parts that do not (a backbone, a head) instead."
    return "Try torch.export.export(model.eval(), (example,)) alone; what it says there applies here."


def _check_keys(model: nn.Module, graph_module: GraphModule) -> None:
    expected, found = model.state_dict().keys(), graph_module.state_dict().keys()
    if expected != found:
        names = sorted(expected ^ found)
        message = f"the captured graph's state_dict has other keys than the model's: {', '.join(names[:5])}"
        raise CaptureError(message)


def _check_macs(graph_module: GraphModule, eager: int) -> None:
    shown = graph_macs(graph_module)
    if shown != eager:
        message = f"the captured graph shows {shown:,} MACs, the model dispatches {eager:,}"
        raise CaptureError(message, hint="Something in the model is hidden from torch.export or runs only in one of the two.")


def _check_values(
    reference: nn.Module, graph_module: GraphModule, args: tuple[Any, ...], kwargs: dict[str, Any], batch: int
) -> str:
    worst = 0.0
    for size in (batch, batch + 1):
        inputs, named = _random_like((args, kwargs), batch, size)
        with torch.no_grad(), eager_reference():
            with _fixed_random_numbers():
                expected = reference(*inputs, **named)
            with _fixed_random_numbers():
                try:
                    actual = graph_module(*inputs, **named)
                except Exception as error:
                    message = f"the captured graph does not run at batch {size}: {_one_line(error)}"
                    raise CaptureError(message, hint=_hint(error, batch)) from error
        worst = max(worst, _difference(expected, actual, size))
    return f"outputs equal at batch {batch} and {batch + 1} to {worst:.0e}"


def _difference(expected: Any, actual: Any, size: int) -> float:
    """Return the largest difference of any output, as a share of that output's largest magnitude."""
    ours, theirs = _tensors(actual), _tensors(expected)
    if [leaf.shape for leaf in ours] != [leaf.shape for leaf in theirs]:
        message = f"the captured graph's outputs have other shapes than the model's at batch {size}"
        raise CaptureError(message)
    worst = 0.0
    for one, other in zip(ours, theirs, strict=True):
        if one.numel() == 0:
            continue
        same = (one == other) | ((one != one) & (other != other))
        finite = other[torch.isfinite(other)].abs().double() if other.is_floating_point() else other.abs().double()
        scale = float(finite.max()) if finite.numel() else 0.0
        gap = float(torch.where(same, 0.0, (one.double() - other.double()).abs()).max())
        share = gap / scale if scale else gap
        allowed = _TOLERANCES.get(other.dtype, 0.0)
        if not share <= allowed:
            message = f"the captured graph differs from the model by {share:.2g} of the largest output at batch {size}"
            raise CaptureError(message, hint="A model that keeps state between calls or draws random numbers does this.")
        worst = max(worst, share)
    return worst


def _random_like(example: Any, batch: int, size: int) -> Any:
    """Return random inputs like the example, with another batch. Integers and booleans are drawn from the example's own."""
    generator = torch.Generator().manual_seed(_SEED + size)

    def draw(leaf: Tensor) -> Tensor:
        shape = (size, *leaf.shape[1:])
        if leaf.is_floating_point() or leaf.is_complex():
            return torch.randn(shape, generator=generator, dtype=leaf.dtype).to(leaf.device)
        picks = torch.randint(batch, (size,), generator=generator).to(leaf.device)
        return leaf[picks]

    return _with_batch(example, batch, draw)


class _fixed_random_numbers:  # noqa: N801 - used like a function, in ``with``
    """Seed torch's random numbers inside the block, and put the caller's back after it."""

    def __enter__(self) -> None:
        self._fork = torch.random.fork_rng()
        self._fork.__enter__()
        torch.manual_seed(_SEED)

    def __exit__(self, *error: Any) -> None:
        self._fork.__exit__(*error)


def _tensors(value: Any) -> list[Tensor]:
    return [leaf for leaf in pytree.tree_leaves(value) if isinstance(leaf, Tensor)]


def _on_meta(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    tensors = [*model.parameters(), *model.buffers(), *_tensors((args, kwargs))]
    return any(tensor.device.type == "meta" for tensor in tensors)


def _signature(named: dict[str, Any], batch: int) -> tuple[InputLeaf, ...]:
    original = _batch_of(named)
    leaves = []
    for path, leaf in pytree.tree_flatten_with_path(named)[0]:
        if isinstance(leaf, Tensor):
            shape: tuple[int | None, ...] = tuple(leaf.shape)
            if _is_batched(leaf, original):
                shape = (None, *shape[1:])
            first, rest = path[0], path[1:]
            leaves.append(InputLeaf(str(first.key) + pytree.keystr(rest), shape, leaf.dtype))
    return tuple(leaves)


def _scaled(count: int) -> str:
    for unit, size in (("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return str(count)


def _one_line(error: BaseException) -> str:
    """Return what an error says in one line, with the place in the model's own code where there is one."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = next((line for line in lines if not line.startswith(("Traceback", "File ", "from user code"))), "")
    said = said or type(error).__name__
    place = _place(error)
    return f"{said} ({place})" if place else said


def _place(error: BaseException) -> str:
    inside = str(Path(torch.__file__).parent), str(Path(__file__).parent)
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith(inside) and Path(frame.filename).is_file()]
    skip = ("contextlib.py", "inspect.py", "copy.py")
    own = [frame for frame in own if not frame.filename.endswith(skip)]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else ""
