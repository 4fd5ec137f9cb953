"""Check that a captured graph is the model: state_dict keys, multiply-accumulates, outputs at two batch sizes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.fx import GraphModule

from asim_fx.capture.example import random_like, tensors
from asim_fx.capture.explain import advice, one_line
from asim_fx.errors import CaptureError, InputError
from asim_fx.graph.macs import eager_reference, graph_macs, run_and_count

_TOLERANCES = {torch.float64: 1e-4, torch.float32: 1e-4, torch.float16: 2e-2, torch.bfloat16: 5e-2}
_SEED = 20210


def run_model(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, int]:
    """Return the model's result and its multiply-accumulates; an example that it refuses is an InputError."""
    try:
        with fixed_random_numbers():
            return run_and_count(model, args, kwargs)
    except Exception as error:
        shapes = ", ".join(str(tuple(leaf.shape)) for leaf in tensors((args, kwargs)))
        message = f"the model does not run on an input of shape {shapes}: {one_line(error)}"
        raise InputError(message, hint="Give an example of the size that the model was built for.") from error


def check_keys(model: nn.Module, graph_module: GraphModule) -> None:
    """Check that the graph keeps every key of the model's state_dict and adds none."""
    expected = model.state_dict().keys()
    for path, _ in list(graph_module.named_buffers(remove_duplicate=False)):
        if path not in expected:
            # A tensor that the model holds as a plain attribute: export makes it a buffer, the model never saves it.
            owner, _, name = path.rpartition(".")
            graph_module.get_submodule(owner)._non_persistent_buffers_set.add(name)
    found = graph_module.state_dict().keys()
    if expected != found:
        names = sorted(expected ^ found)
        message = f"the captured graph's state_dict has other keys than the model's: {', '.join(names[:5])}"
        raise CaptureError(message)


def check_macs(graph_module: GraphModule, eager: int) -> None:
    """Check that the graph shows the multiply-accumulates that the model dispatched."""
    shown = graph_macs(graph_module)
    if shown != eager:
        message = f"the captured graph shows {shown:,} MACs, the model dispatches {eager:,}"
        raise CaptureError(
            message, hint="Something in the model is hidden from torch.export or runs only in one of the two."
        )


def check_values(
    reference: nn.Module, graph_module: GraphModule, example: Any, batch: int, result: Any, others: Sequence[int]
) -> str:
    """Check that model and graph agree on random inputs at several batch sizes; return that in words.

    Args:
        reference: the model.
        graph_module: its graph.
        example: positional and keyword arguments of the example.
        batch: size of the example's batch.
        result: what the model gives for random inputs at that batch.
        others: more batches to compare at.
    """
    worst = _difference(result, _run_graph(graph_module, example, batch, batch), batch)
    finite = all(bool(torch.isfinite(leaf).all()) for leaf in tensors(result))
    for size in others:
        args, kwargs = random_like(example, batch, size)
        with torch.no_grad(), eager_reference(), fixed_random_numbers():
            result = reference(*args, **kwargs)
        worst = max(worst, _difference(result, _run_graph(graph_module, example, batch, size), size))
    agreed = f"outputs equal at batch {' and '.join(map(str, (batch, *others)))} to {worst:.0e}"
    return agreed if finite else f"{agreed}, where they are numbers: the model's own hold NaN or infinity"


def _run_graph(graph_module: GraphModule, example: Any, batch: int, size: int) -> Any:
    # Drawn anew: a model may change its inputs in place.
    args, kwargs = random_like(example, batch, size)
    try:
        with torch.no_grad(), eager_reference(), fixed_random_numbers():
            return graph_module(*args, **kwargs)
    except Exception as error:
        message = f"the captured graph does not run at batch {size}: {one_line(error)}"
        raise CaptureError(message, hint=advice(error, batch)) from error


def _difference(expected: Any, actual: Any, size: int) -> float:
    """Return the largest difference of any output, as a share of that output's largest magnitude."""
    ours, theirs = tensors(actual), tensors(expected)
    if [leaf.shape for leaf in ours] != [leaf.shape for leaf in theirs]:
        message = f"the captured graph's outputs have other shapes than the model's at batch {size}"
        raise CaptureError(message)
    worst = 0.0
    for one, other in zip(ours, theirs, strict=True):
        if one.numel() == 0:
            continue
        same = (one == other) | ((one != one) & (other != other))
        wide = torch.complex128 if other.is_complex() else torch.float64
        finite = other.to(wide)[torch.isfinite(other)].abs()
        scale = float(finite.max()) if finite.numel() else 0.0
        gap = float(torch.where(same, 0.0, (one.to(wide) - other.to(wide)).abs()).max())
        share = gap / scale if scale else gap
        allowed = _TOLERANCES.get(other.dtype, 0.0)
        if not share <= allowed:
            message = f"the captured graph differs from the model by {share:.2g} of the largest output at batch {size}"
            raise CaptureError(
                message, hint="A model that keeps state between calls or draws random numbers does this."
            )
        worst = max(worst, share)
    return worst


@contextmanager
def fixed_random_numbers() -> Iterator[None]:
    """Seed torch's random numbers inside the block, and put the caller's back after it."""
    with torch.random.fork_rng():
        torch.manual_seed(_SEED)
        yield


def on_meta(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Return whether any tensor has no values to compare."""
    held = [*model.parameters(), *model.buffers(), *tensors((args, kwargs))]
    return any(tensor.device.type == "meta" for tensor in held)


def scaled(count: int) -> str:
    """Return a count with three digits and a unit (``3.63 G``)."""
    for unit, size in (("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return str(count)
