"""Capture a model that is no single graph by its largest submodules that are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from asim_fx.capture.check import scaled
from asim_fx.capture.example import batch_of, is_batched
from asim_fx.capture.explain import one_line
from asim_fx.capture.export import Captured, capture, own_copy
from asim_fx.capture.recording import Call, record_calls
from asim_fx.errors import AsimError, CaptureError, InputError
from asim_fx.passlog import UncapturedOp


@dataclass(frozen=True, slots=True)
class Part:
    """A submodule as a graph.

    Attributes:
        name: its qualified name; empty for the whole model.
        captured: its graph.
        samples: how many samples one sample of the model's example sends here: 1 for a backbone, and as many as there
            are regions of interest for the head that judges them.
        macs: multiply-accumulates that it dispatches for that.
    """

    name: str
    captured: Captured
    samples: int
    macs: int


@dataclass(frozen=True, slots=True)
class Parts:
    """A model in parts: what its graphs show and what they do not, for one sample.

    Attributes:
        parts: in the order in which the model holds them.
        uncaptured: the rest.
        macs: all multiply-accumulates that eager execution dispatches.
        reason: why the model is not one graph.
    """

    parts: tuple[Part, ...]
    uncaptured: tuple[UncapturedOp, ...]
    macs: int
    reason: str = "it takes a list of images, and a graph would fix their number"

    @property
    def is_whole(self) -> bool:
        """Whether the only part is the model itself."""
        return [part.name for part in self.parts] == [""]

    @property
    def verification(self) -> str:
        """What was checked, in words."""
        if self.is_whole:
            return self.parts[0].captured.verification
        checked = f"{len(self.parts)} parts, MACs equal ({scaled(self.macs)} for one sample)"
        if any("unverified" in part.captured.verification for part in self.parts):
            return f"{checked}; values unverified (meta device)"
        return f"{checked}; outputs of each part equal at two batch sizes"


def takes_images_one_by_one(args: tuple[Any, ...]) -> bool:
    """Return whether the first argument is a list of images without a batch, as torchvision's detectors take it.

    Such a model has no batch dimension, and a graph of it would fix the number of images.
    """
    first = args[0] if args else None
    return isinstance(first, (list, tuple)) and bool(first) and all(_is_image(image) for image in first)


def capture_model(
    model: nn.Module,
    example_inputs: Tensor | tuple[Any, ...],
    example_kwargs: Mapping[str, Any] | None = None,
    *,
    values: bool = True,
) -> Parts:
    """Capture a model as one graph, or in parts where that is not possible. Arguments as for ``capture_parts``.

    Raises:
        InputError: the model refuses the example.
        CaptureError: neither is possible; says why not the whole.
    """
    args = example_inputs if isinstance(example_inputs, tuple) else (example_inputs,)
    if takes_images_one_by_one(args):
        return capture_parts(model, args, example_kwargs, values=values)
    try:
        captured = capture(model, args, example_kwargs)
    except CaptureError as error:
        try:
            parts = capture_parts(model, args, example_kwargs, values=values)
        except AsimError:
            raise error from None
        return replace(parts, reason=str(error))
    macs = (captured.eager_macs or 0) // captured.batch
    return Parts((Part("", captured, samples=1, macs=macs),), (), macs)


def capture_parts(
    model: nn.Module,
    example_inputs: Tensor | tuple[Any, ...],
    example_kwargs: Mapping[str, Any] | None = None,
    *,
    values: bool = True,
) -> Parts:
    """Run a model on one sample, and capture each of its largest submodules that can be.

    A submodule qualifies that the model calls once, with tensors alone, and that ``capture`` takes.

    Args:
        model: not changed.
        example_inputs: as for ``capture``; or a list of images as the only argument.
        example_kwargs: likewise.
        values: whether parts are compared with their submodules by value; else by shapes and multiply-accumulates.

    Raises:
        InputError: the model refuses the example.
        CaptureError: no submodule that multiplies can be captured.
    """
    args = example_inputs if isinstance(example_inputs, tuple) else (example_inputs,)
    args, kwargs = _one_sample(args, dict(example_kwargs or {}))
    subject = own_copy(model)
    try:
        calls = record_calls(subject, args, kwargs)
    except Exception as error:
        message = f"the model does not run on this input: {one_line(error)}"
        raise InputError(message) from error
    if not values:
        subject = subject.to("meta")
    device = next((parameter.device for parameter in subject.parameters()), torch.device("cpu"))
    called = {id(subject.get_submodule(name)) for name in calls}
    found: list[Part | UncapturedOp] = []
    for name, child in subject.named_children():
        found += _descend(child, name, calls, called, device)
    parts = tuple(one for one in found if isinstance(one, Part))
    if not parts:
        message = f"no part of {type(model).__name__} can be captured"
        reasons = "; ".join(f"{one.name}: {one.reason}" for one in found[:3] if isinstance(one, UncapturedOp))
        raise CaptureError(message, hint=reasons)
    rest = calls[""].macs - sum(one.macs for one in found)
    if rest:
        reason = f"{type(model).__name__} computes it outside of the parts that can be captured"
        found.append(UncapturedOp("", rest, reason))
    return Parts(parts, tuple(one for one in found if isinstance(one, UncapturedOp)), calls[""].macs)


def _descend(
    module: nn.Module, name: str, calls: Mapping[str, Call], called: Set[int], device: torch.device
) -> Iterator[Part | UncapturedOp]:
    """Yield a module as one part or, where that is not possible, what its children are and what remains of it."""
    if called.isdisjoint(map(id, module.modules())):
        if any(parameter.ndim > 1 for parameter in module.parameters()):
            yield UncapturedOp(name, 0, "the example never calls it")
        return
    call = calls.get(name)
    if call is not None and not call.macs and not (_is_empty(call) and any(True for _ in module.parameters())):
        return
    reason = "it is never called as a module"
    if call is not None:
        try:
            yield _capture_part(module, name, call, device)
        except AsimError as error:
            reason = str(error)
        else:
            return
    remaining = 0 if call is None else call.macs
    for child_name, child in module.named_children():
        for found in _descend(child, f"{name}.{child_name}", calls, called, device):
            remaining -= found.macs
            yield found
    if remaining > 0:
        yield UncapturedOp(name, remaining, reason)


def _capture_part(module: nn.Module, name: str, call: Call, device: torch.device) -> Part:
    if call.times != 1:
        message = f"{type(module).__name__} is called {call.times} times by a module that cannot be captured"
        raise CaptureError(message)
    if not call.is_plain:
        message = f"{type(module).__name__} takes something else than tensors"
        raise CaptureError(message)
    samples = _samples(call)
    args, kwargs = pytree.tree_map(lambda leaf: _example(leaf, samples, device), (call.args, call.kwargs))
    return Part(name, capture(module, args, kwargs), samples, call.macs)


def _example(leaf: Any, samples: int, device: torch.device) -> Any:
    """Return zeros of the shape that was recorded; two samples where there were none."""
    if not isinstance(leaf, Tensor):
        return leaf
    if not leaf.is_floating_point():
        return leaf.to(device)
    shape = (2, *leaf.shape[1:]) if samples == 0 and leaf.ndim and leaf.shape[0] == 0 else leaf.shape
    return torch.zeros(shape, dtype=leaf.dtype, device=device)


def _samples(call: Call) -> int:
    leaves = pytree.tree_leaves((call.args, call.kwargs))
    return next((leaf.shape[0] for leaf in leaves if isinstance(leaf, Tensor) and leaf.ndim), 0)


def _is_empty(call: Call) -> bool:
    """Whether the example sends no sample here: boxes to judge, say, of which random weights find none."""
    return call.is_plain and call.times > 0 and _samples(call) == 0


def _is_image(value: Any) -> bool:
    return isinstance(value, Tensor) and value.ndim == 3


def _one_sample(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if takes_images_one_by_one(args):
        first, *rest = args
        if kwargs or any(argument is not None for argument in rest):
            message = "a model that takes a list of images is captured with that list alone"
            raise InputError(message)
        return ([first[0]],), {}
    batch = batch_of((args, kwargs))
    one: tuple[tuple[Any, ...], dict[str, Any]] = pytree.tree_map(
        lambda leaf: leaf[:1].clone() if is_batched(leaf, batch) else leaf, (args, kwargs)
    )
    return one
