"""Capture a model as a graph with torch.export, and check that the graph is the model."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim
from torch.fx import GraphModule
from torch.nn.parameter import is_lazy
from torch.utils import _pytree as pytree

from asim_fx.capture.check import check_keys, check_macs, check_values, on_meta, run_model, scaled
from asim_fx.capture.chunks import EvenChunks
from asim_fx.capture.example import (
    InputLeaf,
    argument_names,
    at_least_two,
    batch_of,
    in_order,
    is_batched,
    named_arguments,
    random_like,
    signature,
)
from asim_fx.capture.explain import advice, one_line, quietly
from asim_fx.capture.keywords import spell_out_keywords
from asim_fx.capture.program import facts_of
from asim_fx.capture.states import StateShapes
from asim_fx.errors import CaptureError, InputError
from asim_fx.graph.macs import eager_reference
from asim_fx.graph.module import PlainGraphModule

__all__ = ["Captured", "InputLeaf", "capture"]

MAX_BATCH = 65536


@dataclass(frozen=True, slots=True)
class Captured:
    """A model as a graph.

    Attributes:
        graph_module: the graph in eval mode, batch symbolic; keys of its state_dict are the model's.
        batch: size of the example's batch; 1 where the batch is fixed, and counts as one sample.
        example_args: the example's positional arguments, at that batch.
        example_kwargs: its keyword arguments.
        input_signature: the tensors among them, in the order of the call.
        eager_macs: multiply-accumulates that eager execution dispatched at that batch; None where not run.
        verification: what was checked, in words.
        fixed_batch: samples that every call takes; None where the batch is symbolic.
    """

    graph_module: GraphModule
    batch: int
    example_args: tuple[Any, ...]
    example_kwargs: dict[str, Any]
    input_signature: tuple[InputLeaf, ...]
    eager_macs: int | None
    verification: str
    fixed_batch: int | None = None


@torch.inference_mode(mode=False)  # a graph that was captured in inference mode has no operations
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
        example_inputs: one tensor, or the tuple of positional arguments. The batch is dimension 0 of the first tensor,
            and of every other where it has the same size; a batch of 1 is repeated to 2. A model that was exported
            with a fixed batch (see ``capture.program``) is captured with that one.
        example_kwargs: keyword arguments of the call.
        verify: whether to run the model beside its graph. On the meta device only shapes and MACs can be compared.

    Returns:
        the graph and what is known of it.

    Raises:
        InputError: the model itself refuses the example.
        CaptureError: torch.export cannot capture the model, or the graph is not the model.
    """
    args = example_inputs if isinstance(example_inputs, tuple) else (example_inputs,)
    args, kwargs = pytree.tree_map(_ordinary, (args, in_order(example_kwargs or {}, argument_names(model.forward))))
    named = named_arguments(model, args, kwargs)
    facts = facts_of(model)
    fixed = None if facts is None else facts.fixed_batch
    if fixed is None:
        batch, args, kwargs = at_least_two(args, kwargs)
    else:
        batch = batch_of((args, kwargs))
        if batch != fixed:
            message = f"the model was exported for a batch of {fixed}; this example holds {batch}"
            raise InputError(message, hint="export it with a dynamic batch to use it with any")
    subject = own_copy(model)
    result = macs = None
    if verify:
        # Caches that a forward pass fills must not be seen by export: run a second shell around the same parameters.
        reference = copy.deepcopy(subject, {id(p): p for p in subject.parameters()})
        result, macs = run_model(reference, *random_like((args, kwargs), batch, batch))
    graph_module = _export(subject, named, args, kwargs, batch, fixed=fixed is not None)
    check_keys(model, graph_module)
    verification = "not verified"
    if verify:
        assert macs is not None
        check_macs(graph_module, macs)
        checked = f"MACs equal ({scaled(macs)} at batch {batch})"
        if on_meta(subject, args, kwargs):
            verification = f"{checked}; values unverified (meta device)"
        else:
            sizes = () if fixed is not None else (batch + 1,)
            verification = f"{checked}; {check_values(reference, graph_module, (args, kwargs), batch, result, sizes)}"
    leaves = signature(named, fixed=fixed is not None)
    counted = batch if fixed is None else 1
    return Captured(graph_module, counted, args, kwargs, leaves, macs, verification, fixed)


def _ordinary(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) and value.is_inference() else value


def own_copy(model: nn.Module) -> nn.Module:
    """Return a copy in eval mode.

    Raises:
        CaptureError: the model cannot be copied, or was never called and does not know its weights' shapes yet.
    """
    lazy = [name for name, tensor in (*model.named_parameters(), *model.named_buffers()) if is_lazy(tensor)]
    if lazy:
        message = f"the weights of lazy layers have no shape before their first call: {', '.join(lazy[:3])}"
        raise CaptureError(message, hint="Call the model once on an input before it is converted.")
    try:
        return copy.deepcopy(model).eval()
    except Exception as error:
        message = f"the model cannot be copied: {one_line(error)}"
        hint = "Tensors that a module computes and keeps (old weight_norm, caches) must be parameters or buffers."
        raise CaptureError(message, hint=hint) from error


def _export(
    subject: nn.Module, named: dict[str, Any], args: tuple[Any, ...], kwargs: dict[str, Any], batch: int, *, fixed: bool
) -> GraphModule:
    original = batch_of(named)
    named = spell_out_keywords(subject, named)
    dim = Dim("batch", min=1, max=MAX_BATCH)
    shapes = pytree.tree_map(lambda leaf: {0: dim} if is_batched(leaf, original) and not fixed else None, named)
    try:
        # Attention gets the strides of plain matrix products, which it has when the graph runs. A fused kernel may give
        # others, and torch.export leaves out a ``contiguous()`` that has nothing to copy.
        with quietly(), torch.no_grad(), eager_reference(), EvenChunks(), StateShapes():
            program = torch.export.export(subject, args, kwargs, dynamic_shapes=shapes, strict=False)
            exported = program.module(check_guards=False)
    except Exception as error:
        message = f"torch.export cannot capture {type(subject).__name__}: {one_line(error)}"
        raise CaptureError(message, hint=advice(error, batch)) from error
    assert isinstance(exported, GraphModule)
    # A plain GraphModule trains, evaluates and copies as any module does; the exported one refuses train().
    graph_module = PlainGraphModule(exported, exported.graph)
    graph_module.meta.update(exported.meta)
    return graph_module.eval()
