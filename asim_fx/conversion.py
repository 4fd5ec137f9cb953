"""Convert a model: capture it, plan every site by the spec, lower the plan to a simulation."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.fx import GraphModule

from asim_fx.capture import Captured, InputSignature, Part, Parts, capture_model, example_of, facts_of, module_of
from asim_fx.converted import ConvertedModel, Recipe, replace_submodules
from asim_fx.dataflow import join_dataflows, trace_dataflow
from asim_fx.errors import NumericsError, PlanError, UsageError, VerificationError
from asim_fx.graph.macs import region_macs
from asim_fx.ir import OpSite, SitePlan, Target, annotate, iter_plans, iter_sites
from asim_fx.models import ModelSource, find_aliases
from asim_fx.ops.engines.choice import describe
from asim_fx.ops.engines.cpu import plan as cpu_plan
from asim_fx.ops.engines.cuda import plan as cuda_plan
from asim_fx.passes import ANALYSIS_PIPELINE, LOWERING_PIPELINE, MAPPING_PIPELINE
from asim_fx.passes.lower_sites import op_config
from asim_fx.passlog import UncapturedOp
from asim_fx.pipeline import FoldedOp, PassContext, PassLog, Pipeline, check_outputs, facts_after, output_of
from asim_fx.report.build import build_report
from asim_fx.report.rows import MappingReport
from asim_fx.rules import shadowed_rules, unmatched_rules
from asim_fx.spec import HardwareSpec, load_spec

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
class PlannedModel:
    """A captured model with a plan for every site: all that a dry run shows.

    Attributes:
        parts: the graphs: one, of the whole model, or several of submodules.
        macs: multiply-accumulates that eager execution dispatches for one sample.
        report: how every site was mapped.
        recipe: what was asked for.
    """

    parts: tuple[PlannedPart, ...]
    macs: int
    report: MappingReport
    recipe: Recipe

    @property
    def is_whole(self) -> bool:
        """Whether the model is one graph."""
        return self.parts[0].name == ""


def convert(
    model: nn.Module | ExportedProgram,
    spec: HardwareSpec | str | os.PathLike[str],
    example_inputs: Tensor | tuple[Any, ...] | None = None,
    example_kwargs: Mapping[str, Any] | None = None,
    *,
    name: str = "",
    source: ModelSource | None = None,
    strict: bool = False,
    fold_batch_norm: bool = True,
    verify: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> ConvertedModel:
    """Compile a model onto the hardware of a spec.

    Args:
        model: any model that torch.export takes, or what torch.export made of one; it is copied, never changed.
        spec: a HardwareSpec, the name of a shipped one, or a path to YAML.
        example_inputs: the tensor, or the positional arguments, of one forward pass. The first dimension is the batch.
            An exported program says itself what it takes.
        example_kwargs: keyword arguments of that forward pass.
        name: what the report calls the model; its class name if left out.
        source: where the model came from, so that a saved artifact can build it again.
        strict: whether a site that the spec maps but that has no analog or integer form is an error.
        fold_batch_norm: whether batch norms are folded into the operation before them.
        verify: whether to check after every pass, and of the lowered graph with every site in float, that the result
            is still the model's.
        seed: of the noise and of the die.
        progress: told what happens next, in words.

    Returns:
        a module that is called like the model.

    Raises:
        SpecError: the spec is not valid, or some site's settings exclude each other.
        CaptureError: torch.export cannot capture the model.
        PlanError: a rule matches nothing, or a site cannot be mapped under ``strict``.
        VerificationError: the captured or lowered graph does not compute the model.
        UsageError: the model holds no values.
    """
    model, example_inputs, example_kwargs = _with_example(model, example_inputs, example_kwargs)
    if any(tensor.is_meta for tensor in (*model.parameters(), *model.buffers())):
        message = "the model is on the meta device: it holds no values, so it can be planned but not converted"
        raise UsageError(message, hint="asim_fx.conversion.plan shows its mapping; build it on a CPU to convert it")
    planned = plan(
        model,
        spec,
        example_inputs,
        example_kwargs,
        name=name,
        source=source,
        strict=strict,
        fold_batch_norm=fold_batch_norm,
        verify=verify,
        progress=progress,
    )
    tell = progress or _silent
    checks = [_output_check(part.captured) if verify else None for part in planned.parts]
    tell("lowering")
    lowering = Pipeline(LOWERING_PIPELINE, given=facts_after(ANALYSIS_PIPELINE + MAPPING_PIPELINE))
    for part in planned.parts:
        lowering.run(part.graph_module, part.context)
    args = example_inputs if isinstance(example_inputs, tuple) else (example_inputs,)
    converted = _assemble(planned, model, args, dict(example_kwargs or {}))
    converted.reseed(seed)
    if verify:
        tell("verifying")
        converted.set_fidelity("float")
        for part, check in zip(planned.parts, checks, strict=True):
            if check is not None:
                check(part.graph_module)
        converted.set_fidelity("hardware")
    return converted


def _engine(spec: HardwareSpec, parts: Sequence[PlannedPart]) -> str:
    """Say what computes the simulation on a CPU, or what was chosen, and which sites it leaves to the plain engine."""
    text = describe(spec.engine)
    not_covered = {"cpu": cpu_plan.not_covered, "cuda": cuda_plan.not_covered}.get(text.partition(" ")[0])
    if not_covered is None:
        return text
    plans = [plan for part in parts for _, plan in iter_plans(part.graph_module.graph) if plan.target is Target.ANALOG]
    reasons = Counter(reason for plan in plans if (reason := not_covered(op_config(plan, spec))))
    return "; ".join([text, *(f"torch for {count} sites: {reason}" for reason, count in reasons.items())])


def _assemble(planned: PlannedModel, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ConvertedModel:
    """Return the lowered graph, or a copy of the model with the lowered graphs in the place of their submodules."""
    report, recipe = planned.report, planned.recipe
    signatures = {part.name: InputSignature.of(part.captured) for part in planned.parts}
    if "" in signatures:
        return ConvertedModel(planned.parts[0].graph_module, report, recipe, signatures[""])
    body = replace_submodules(model, {part.name: part.graph_module for part in planned.parts})
    return ConvertedModel(body, report, recipe, InputSignature.of_example(model, args, kwargs), signatures)


def plan(
    model: nn.Module | ExportedProgram,
    spec: HardwareSpec | str | os.PathLike[str],
    example_inputs: Tensor | tuple[Any, ...] | None = None,
    example_kwargs: Mapping[str, Any] | None = None,
    *,
    name: str = "",
    source: ModelSource | None = None,
    strict: bool = False,
    fold_batch_norm: bool = True,
    verify: bool = False,
    values: bool = True,
    progress: Progress | None = None,
) -> PlannedModel:
    """Capture a model and plan every site, without lowering it.

    Arguments and errors as in ``convert``. Without ``values`` the parts of a model that is captured in parts are
    compared by shapes and multiply-accumulates alone.
    """
    tell = progress or _silent
    spec = load_spec(spec)
    model, example_inputs, example_kwargs = _with_example(model, example_inputs, example_kwargs)
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
        spec=spec,
        aliases=source.aliases if source is not None else find_aliases(model),
        strict=strict,
        fold_batch_norm=fold_batch_norm,
        log=log,
    )
    tell("analysing")
    parts = tuple(_analyse(part, context, verify=verify) for part in found.parts)
    _refuse_uncaptured(log.uncaptured, strict=strict)
    sites = [site for part in parts for _, site in iter_sites(part.graph_module.graph)]
    _check_rules(spec, sites)
    for rule in shadowed_rules(spec, sites):
        log.note("spec", str(rule))
    tell("mapping")
    for part in parts:
        Pipeline(MAPPING_PIPELINE, given=facts_after(ANALYSIS_PIPELINE)).run(part.graph_module, part.context)
    report = build_report(
        [plan for part in parts for _, plan in iter_plans(part.graph_module.graph)],
        model=name or (source.name if source is not None else type(model).__name__),
        spec=spec,
        folded=log.folded,
        uncaptured=(*found.uncaptured, *log.uncaptured),
        notes=log.notes,
        dataflow=join_dataflows([trace_dataflow(part.graph_module.graph, part.context.batch) for part in parts]),
        verification=found.verification,
        versions=versions(),
        engine=_engine(spec, parts),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
    )
    recipe = Recipe(spec=spec, name=report.model, source=source, strict=strict, fold_batch_norm=fold_batch_norm)
    return PlannedModel(parts, _dispatched(found, log.folded), report, recipe)


def _with_example(
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


def _dispatched(found: Parts, folded: Sequence[FoldedOp]) -> int:
    """Return what eager execution multiplies for one sample. Products of constants do not grow with the batch."""
    if not found.is_whole:
        return found.macs
    captured, constant = found.parts[0].captured, sum(op.macs for op in folded)
    return ((captured.eager_macs or 0) - constant) // captured.batch + constant


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
    Pipeline(ANALYSIS_PIPELINE).run(graph_module, context, check=_output_check(captured) if verify else None)
    sites = list(iter_sites(graph_module.graph))
    _check_macs([site for _, site in sites], context.log.folded[folded:], captured)
    context.log.uncaptured[branches:] = [
        replace(op, macs=op.macs * part.samples) for op in context.log.uncaptured[branches:]
    ]
    for node, site in sites:
        annotate(node, site=replace(site, vectors=site.vectors * part.samples, macs=site.macs * part.samples))
    return PlannedPart(part.name, captured, context)


def plans_of(planned: PlannedModel) -> list[SitePlan]:
    """Return the plan of every site, in graph order."""
    return [plan for part in planned.parts for _, plan in iter_plans(part.graph_module.graph)]


def versions() -> dict[str, str]:
    """Return the versions of what made a result."""
    return {package: metadata.version(package) for package in ("asim-fx", "torch", "torchvision", "timm")}


def _silent(_: str) -> None:
    pass


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


def _check_rules(spec: HardwareSpec, sites: Sequence[OpSite]) -> None:
    unmatched = unmatched_rules(spec, sites)
    if unmatched:
        raise PlanError(
            "\n".join(map(str, unmatched)),
            hint="`asim-spec sites MODEL` lists the names that rules can match; `optional: true` allows no match",
        )


def _output_check(captured: Captured) -> Callable[[GraphModule], None]:
    """Return a check that a graph still computes what it computed when it was captured."""
    args, keywords = captured.example_args, captured.example_kwargs
    expected = output_of(captured.graph_module, args, keywords)
    return check_outputs(args, expected, keywords=keywords, tolerance=_TOLERANCE)


__all__ = ["ConvertedModel", "PlannedModel", "PlannedPart", "convert", "plan", "plans_of", "versions"]
