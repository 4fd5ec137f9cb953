"""Convert a model: capture it, plan every site by the spec, lower the plan to a simulation."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from typing import Any

from torch import Tensor, nn
from torch.export import ExportedProgram

from asim_fx.analysis import AnalysedModel, PlannedPart, Progress, analyse, output_check, silent, with_example
from asim_fx.capture import InputSignature, Parts
from asim_fx.converted import ConvertedModel, Recipe, replace_submodules
from asim_fx.dataflow import join_dataflows, trace_dataflow
from asim_fx.errors import PlanError, UsageError
from asim_fx.ir import OpSite, SitePlan, Target, iter_plans
from asim_fx.models import ModelSource
from asim_fx.ops.config import OpConfig
from asim_fx.ops.engines.choice import describe
from asim_fx.ops.engines.cpu import plan as cpu_plan
from asim_fx.ops.engines.cuda import plan as cuda_plan
from asim_fx.passes import ANALYSIS_PIPELINE, LOWERING_PIPELINE, MAPPING_PIPELINE
from asim_fx.passes.lower_sites import op_config
from asim_fx.pipeline import FoldedOp, Pipeline, facts_after
from asim_fx.report.build import build_report
from asim_fx.report.rows import MappingReport
from asim_fx.rules import shadowed_rules, unmatched_rules
from asim_fx.spec import HardwareSpec, load_spec


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
    pact: bool = False,
    trainable: bool = False,
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
        pact: whether every ReLU gets a learned upper bound, which is the scale of the sites that read it.
        trainable: whether the result is to be trained: what is computed from parameters stays a part of the graph,
            and batch norm and dropout act as in training when the module is in training mode. Such a model is never
            saved: see ``asim_fx.training``.
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
    model, example_inputs, example_kwargs = with_example(model, example_inputs, example_kwargs)
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
        pact=pact,
        trainable=trainable,
        verify=verify,
        progress=progress,
    )
    args = example_inputs if isinstance(example_inputs, tuple) else (example_inputs,)
    example = (args, dict(example_kwargs or {}))
    return lower(planned, model, example, verify=verify, seed=seed, progress=progress)


def lower(
    planned: PlannedModel,
    model: nn.Module,
    example: tuple[tuple[Any, ...], dict[str, Any]],
    *,
    verify: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> ConvertedModel:
    """Make a planned model executable; its graphs are changed in place.

    Args:
        planned: the plan.
        model: that it was made of.
        example: positional and keyword arguments of one forward pass.
        verify: as in ``convert``; so the rest, and the errors.
        seed: of the noise and of the die.
        progress: told what happens next.
    """
    tell = progress or silent
    checks = [output_check(part.captured) if verify else None for part in planned.parts]
    tell("lowering")
    lowering = Pipeline(LOWERING_PIPELINE, given=facts_after(ANALYSIS_PIPELINE + MAPPING_PIPELINE))
    for part in planned.parts:
        lowering.run(part.graph_module, part.context)
    converted = _assemble(planned, model, *example)
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
    reasons = Counter(reason for plan in plans if (reason := not_covered(_readable(op_config(plan, spec)))))
    return "; ".join([text, *(f"torch for {count} sites: {reason}" for reason, count in reasons.items())])


def _readable(config: OpConfig) -> OpConfig:
    """Return a configuration with the full range in place of a window that is still to be calibrated."""
    return config if config.read.window_known else replace(config, read=replace(config.read, window_known=True))


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
    pact: bool = False,
    trainable: bool = False,
    verify: bool = False,
    values: bool = True,
    progress: Progress | None = None,
) -> PlannedModel:
    """Capture a model and plan every site, without lowering it.

    Arguments and errors as in ``convert``. Without ``values`` the parts of a model that is captured in parts are
    compared by shapes and multiply-accumulates alone.
    """
    spec = load_spec(spec)
    analysed = analyse(
        model,
        example_inputs,
        example_kwargs,
        name=name,
        source=source,
        strict=strict,
        fold_batch_norm=fold_batch_norm,
        pact=pact,
        trainable=trainable,
        verify=verify,
        values=values,
        progress=progress,
    )
    return map_onto(analysed, spec, progress=progress)


def map_onto(analysed: AnalysedModel, spec: HardwareSpec, *, progress: Progress | None = None) -> PlannedModel:
    """Plan every site of an analysed model by a spec; its graphs are changed in place, so copy it to plan it again.

    Errors as in ``plan``.
    """
    found, log = analysed.found, analysed.log
    _check_rules(spec, analysed.sites)
    for rule in shadowed_rules(spec, analysed.sites):
        log.note("spec", str(rule))
    (progress or silent)("mapping")
    parts = tuple(replace(part, context=replace(part.context, spec=spec)) for part in analysed.parts)
    for part in parts:
        Pipeline(MAPPING_PIPELINE, given=facts_after(ANALYSIS_PIPELINE)).run(part.graph_module, part.context)
    report = build_report(
        [plan for part in parts for _, plan in iter_plans(part.graph_module.graph)],
        model=analysed.name,
        spec=spec,
        folded=log.folded,
        uncaptured=(*found.uncaptured, *log.uncaptured),
        notes=log.notes,
        dataflow=join_dataflows([trace_dataflow(part.graph_module.graph, part.context.batch) for part in parts]),
        verification=found.verification,
        versions=versions(),
        engine=_engine(spec, parts),
        parameters=sum(parameter.numel() for parameter in analysed.model.parameters()),
    )
    context = parts[0].context
    recipe = Recipe(
        spec=spec,
        name=report.model,
        source=analysed.source,
        strict=context.strict,
        fold_batch_norm=context.fold_batch_norm,
        pact=context.pact,
        trainable=context.trainable,
    )
    return PlannedModel(parts, _dispatched(found, log.folded), report, recipe)


def _dispatched(found: Parts, folded: Sequence[FoldedOp]) -> int:
    """Return what eager execution multiplies for one sample. Products of constants do not grow with the batch."""
    if not found.is_whole:
        return found.macs
    captured, constant = found.parts[0].captured, sum(op.macs for op in folded)
    return ((captured.eager_macs or 0) - constant) // captured.batch + constant


def plans_of(planned: PlannedModel) -> list[SitePlan]:
    """Return the plan of every site, in graph order."""
    return [plan for part in planned.parts for _, plan in iter_plans(part.graph_module.graph)]


def versions() -> dict[str, str]:
    """Return the versions of what made a result."""
    return {package: metadata.version(package) for package in ("asim-fx", "torch", "torchvision", "timm")}


def _check_rules(spec: HardwareSpec, sites: Sequence[OpSite]) -> None:
    unmatched = unmatched_rules(spec, sites)
    if unmatched:
        raise PlanError(
            "\n".join(map(str, unmatched)),
            hint="`asim-spec sites MODEL` lists the names that rules can match; `optional: true` allows no match",
        )


__all__ = ["ConvertedModel", "PlannedModel", "PlannedPart", "convert", "plan", "plans_of", "versions"]
