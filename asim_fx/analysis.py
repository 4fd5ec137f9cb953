"""Capture a model and find its sites: what a conversion does before the hardware matters."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.fx import GraphModule

from asim_fx.capture import Captured, Part, Parts, capture_model, example_of, facts_of, module_of
from asim_fx.errors import NumericsError, PlanError, UsageError, VerificationError
from asim_fx.graph.macs import region_macs
from asim_fx.ir import OpSite, annotate, iter_sites
from asim_fx.models import ModelSource, find_aliases
from asim_fx.passes import ANALYSIS_PIPELINE
from asim_fx.passlog import UncapturedOp
from asim_fx.pipeline import FoldedOp, PassContext, PassLog, Pipeline, check_outputs, output_of
from asim_fx.spec import load_spec

Progress = Callable[[str], None]

_TOLERANCE = 1e-4
"""Of the largest output: what float arithmetic in another order may move."""


@dataclass(frozen=True, slots=True)
class PlannedPart:
    """A graph with a plan for every site.

    Attributes:
        name: of the submodule; empty for the whole model.
        captured: the graph and what was checked of it.
        context: what the passes knew and noted.
    """

    name: str
    captured: Captured
    context: PassContext

    @property
    def graph_module(self) -> GraphModule:
        """The graph itself."""
        return self.captured.graph_module


@dataclass(frozen=True, slots=True)
class AnalysedModel:
    """A captured model whose sites are known: all that does not depend on the hardware.

    Attributes:
        model: that was captured.
        example: positional and keyword arguments of one forward pass.
        found: what was captured.
        parts: its graphs; their contexts hold no spec of the user's yet.
        log: what the passes noted so far.
        name: what the report calls the model.
        source: where it came from.
    """

    model: nn.Module
    example: tuple[tuple[Any, ...], dict[str, Any]]
    found: Parts
    parts: tuple[PlannedPart, ...]
    log: PassLog
    name: str
    source: ModelSource | None

    @property
    def sites(self) -> list[OpSite]:
        """Every site, in graph order."""
        return [site for part in self.parts for _, site in iter_sites(part.graph_module.graph)]

    def copied(self) -> AnalysedModel:
        """Return a copy with graphs of its own, which share the weights: planning changes graphs, never weights."""
        log = self.log.copied()
        parts = tuple(_copied(part, log) for part in self.parts)
        return replace(self, parts=parts, log=log)


def _copied(part: PlannedPart, log: PassLog) -> PlannedPart:
    graph = part.graph_module
    shared = {id(tensor): tensor for tensor in (*graph.parameters(), *graph.buffers())}
    captured = replace(part.captured, graph_module=copy.deepcopy(graph, shared))
    return PlannedPart(part.name, captured, replace(part.context, log=log))


def analyse(
    model: nn.Module | ExportedProgram,
    example_inputs: Tensor | tuple[Any, ...] | None = None,
    example_kwargs: Mapping[str, Any] | None = None,
    *,
    name: str = "",
    source: ModelSource | None = None,
    strict: bool = False,
    fold_batch_norm: bool = True,
    pact: bool = False,
    trainable: bool = False,
    verify: bool = False,
    values: bool = True,
    progress: Progress | None = None,
) -> AnalysedModel:
    """Capture a model and find its sites: what all hardware shares, and the slow part of a conversion.

    Arguments and errors as in ``plan``.
    """
    tell = progress or silent
    model, example_inputs, example_kwargs = with_example(model, example_inputs, example_kwargs)
    _check_weights(model)
    tell("capturing")
    found = capture_model(model, example_inputs, example_kwargs, values=values)
    _refuse_uncaptured(found.uncaptured, strict=strict)
    log = PassLog()
    _note_parts(found, log)
    facts = facts_of(model)
    if facts is not None and facts.words:
        log.note("", facts.words)
    context = PassContext(
        spec=load_spec("ideal"),
        aliases=source.aliases if source is not None else find_aliases(model),
        strict=strict,
        fold_batch_norm=fold_batch_norm,
        pact=pact,
        trainable=trainable,
        log=log,
    )
    tell("analysing")
    parts = tuple(_analyse(part, context, verify=verify) for part in found.parts)
    _refuse_uncaptured(log.uncaptured, strict=strict)
    args = example_inputs if isinstance(example_inputs, tuple) else (example_inputs,)
    shown = name or (source.name if source is not None else type(model).__name__)
    return AnalysedModel(model, (args, dict(example_kwargs or {})), found, parts, log, shown, source)


def with_example(
    model: nn.Module | ExportedProgram,
    example_inputs: Tensor | tuple[Any, ...] | None,
    example_kwargs: Mapping[str, Any] | None,
) -> tuple[nn.Module, Tensor | tuple[Any, ...], Mapping[str, Any] | None]:
    """Return a model as a module, with an example: an exported program's own, where none is given."""
    if not isinstance(model, (nn.Module, ExportedProgram)):
        message = f"the model must be a torch.nn.Module or a torch.export.ExportedProgram, not {type(model).__name__}"
        raise UsageError(message)
    if not isinstance(example_inputs, (Tensor, tuple, type(None))):
        message = f"example_inputs must be a tensor or a tuple of the arguments, not {type(example_inputs).__name__}"
        raise UsageError(message)
    if example_inputs is None:
        if not isinstance(model, ExportedProgram):
            message = "example_inputs are needed: the arguments of one forward pass"
            raise UsageError(message)
        args, kwargs = example_of(model)
        return module_of(model), args, {**kwargs, **(example_kwargs or {})}
    return module_of(model), example_inputs, example_kwargs


def _refuse_uncaptured(uncaptured: Sequence[UncapturedOp], *, strict: bool) -> None:
    if strict and uncaptured:
        names = ", ".join(op.name or "the model itself" for op in uncaptured)
        message = f"what these modules multiply is in no graph, or in a branch of one: {names}"
        raise PlanError(message, hint="run without --strict to leave it in float")


def _note_parts(found: Parts, log: PassLog) -> None:
    if found.is_whole:
        return
    names = ", ".join(part.name for part in found.parts)
    log.note("", f"captured in {len(found.parts)} parts ({names}), the rest runs as it is: {found.reason}")
    for part in found.parts:
        if part.samples != 1:
            log.note(part.name, f"counts are those of the {part.samples} samples that one of the example sends here")


def _analyse(part: Part, context: PassContext, *, verify: bool) -> PlannedPart:
    """Find the sites of one graph, and count what one sample of the whole model sends through it."""
    captured = part.captured
    context = replace(context, batch=captured.batch, prefix=part.name)
    graph_module, folded = captured.graph_module, len(context.log.folded)
    branches = len(context.log.uncaptured)
    Pipeline(ANALYSIS_PIPELINE).run(graph_module, context, check=output_check(captured) if verify else None)
    sites = list(iter_sites(graph_module.graph))
    _check_macs([site for _, site in sites], context.log.folded[folded:], captured)
    context.log.uncaptured[branches:] = [
        replace(op, macs=op.macs * part.samples) for op in context.log.uncaptured[branches:]
    ]
    for node, site in sites:
        annotate(node, site=replace(site, vectors=site.vectors * part.samples, macs=site.macs * part.samples))
    return PlannedPart(part.name, captured, context)


def _check_weights(model: nn.Module) -> None:
    """Refuse weights that no array can hold; what they spoil would show only when the model runs."""
    spoilt = [
        name
        for name, weight in model.named_parameters()
        if weight.is_floating_point() and not weight.is_meta and not bool(torch.isfinite(weight).all())
    ]
    if spoilt:
        more = f" and {len(spoilt) - 3} more" if len(spoilt) > 3 else ""
        message = f"these weights hold NaN or infinity: {', '.join(spoilt[:3])}{more}"
        raise NumericsError(message, hint="the training that made them went wrong, or their file is damaged")


def _check_macs(sites: Sequence[OpSite], folded: Sequence[FoldedOp], captured: Captured) -> None:
    """Refuse a graph whose sites do not add up to what eager execution multiplies."""
    if captured.eager_macs is None:
        return
    found = sum(site.example_macs for site in sites) + sum(op.macs for op in folded)
    graph_module = captured.graph_module
    found += sum(region_macs(graph_module, node) for node in graph_module.graph.nodes)
    if found != captured.eager_macs:
        message = (
            f"the sites found add up to {found:,} MACs at batch {captured.batch}; "
            f"eager execution dispatches {captured.eager_macs:,}"
        )
        raise VerificationError(message, hint="some multiply hides in an operation that is not recognised")


def output_check(captured: Captured) -> Callable[[GraphModule], None]:
    """Return a check that a graph still computes what it computed when it was captured."""
    args, keywords = captured.example_args, captured.example_kwargs
    expected = output_of(captured.graph_module, args, keywords)
    return check_outputs(args, expected, keywords=keywords, tolerance=_TOLERANCE)


def silent(_: str) -> None:
    """Tell nobody what happens next."""
