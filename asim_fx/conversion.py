"""Convert a model: capture it, plan every site by the spec, lower the plan to a simulation."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from torch import Tensor, nn
from torch.fx import GraphModule

from asim_fx.capture import Captured, InputSignature, capture
from asim_fx.converted import ConvertedModel, Recipe
from asim_fx.dataflow import trace_dataflow
from asim_fx.errors import PlanError, UsageError, VerificationError
from asim_fx.ir import OpSite, SitePlan, iter_plans, iter_sites
from asim_fx.models import ModelSource, find_aliases
from asim_fx.passes import ANALYSIS_PIPELINE, LOWERING_PIPELINE, MAPPING_PIPELINE
from asim_fx.pipeline import PassContext, PassLog, Pipeline, check_outputs, facts_after, output_of
from asim_fx.report.build import build_report
from asim_fx.report.rows import MappingReport
from asim_fx.rules import shadowed_rules, unmatched_rules
from asim_fx.spec import HardwareSpec, load_spec

Progress = Callable[[str], None]

_TOLERANCE = 1e-4
"""Of the largest output: what float arithmetic in another order may move."""


@dataclass(frozen=True, slots=True)
class PlannedModel:
    """A captured model with a plan for every site: all that a dry run shows.

    Attributes:
        captured: the graph and what was checked of it.
        context: what the passes knew and noted.
        report: how every site was mapped.
        recipe: what was asked for.
    """

    captured: Captured
    context: PassContext
    report: MappingReport
    recipe: Recipe


def convert(
    model: nn.Module,
    spec: HardwareSpec | str | os.PathLike[str],
    example_inputs: Tensor | tuple[Any, ...],
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
        model: any model that torch.export takes; it is copied, never changed.
        spec: a HardwareSpec, the name of a shipped one, or a path to YAML.
        example_inputs: the tensor, or the positional arguments, of one forward pass. The first dimension is the batch.
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
    captured, graph_module = planned.captured, planned.captured.graph_module
    check = _output_check(captured) if verify else None
    tell("lowering")
    Pipeline(LOWERING_PIPELINE, given=facts_after(ANALYSIS_PIPELINE + MAPPING_PIPELINE)).run(
        graph_module, planned.context
    )
    converted = ConvertedModel(graph_module, planned.report, planned.recipe, InputSignature.of(captured))
    converted.reseed(seed)
    if check is not None:
        tell("verifying")
        converted.set_fidelity("float")
        check(graph_module)
        converted.set_fidelity("hardware")
    return converted


def plan(
    model: nn.Module,
    spec: HardwareSpec | str | os.PathLike[str],
    example_inputs: Tensor | tuple[Any, ...],
    example_kwargs: Mapping[str, Any] | None = None,
    *,
    name: str = "",
    source: ModelSource | None = None,
    strict: bool = False,
    fold_batch_norm: bool = True,
    verify: bool = False,
    progress: Progress | None = None,
) -> PlannedModel:
    """Capture a model and plan every site, without lowering it. Arguments and errors as in ``convert``."""
    tell = progress or _silent
    spec = load_spec(spec)
    tell("capturing")
    captured = capture(model, example_inputs, example_kwargs)
    aliases = source.aliases if source is not None else find_aliases(model)
    context = PassContext(
        spec=spec, batch=captured.batch, aliases=aliases, strict=strict, fold_batch_norm=fold_batch_norm, log=PassLog()
    )
    tell("analysing")
    graph_module = captured.graph_module
    Pipeline(ANALYSIS_PIPELINE).run(graph_module, context, check=_output_check(captured) if verify else None)
    sites = [site for _, site in iter_sites(graph_module.graph)]
    _check_macs(sites, context, captured)
    _check_rules(spec, sites)
    for rule in shadowed_rules(spec, sites):
        context.log.note("spec", str(rule))
    tell("mapping")
    Pipeline(MAPPING_PIPELINE, given=facts_after(ANALYSIS_PIPELINE)).run(graph_module, context)
    report = build_report(
        [plan for _, plan in iter_plans(graph_module.graph)],
        model=name or (source.name if source is not None else type(model).__name__),
        spec=spec,
        folded=context.log.folded,
        notes=context.log.notes,
        dataflow=trace_dataflow(graph_module.graph),
        verification=captured.verification,
        versions=versions(),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
    )
    recipe = Recipe(spec=spec, name=report.model, source=source, strict=strict, fold_batch_norm=fold_batch_norm)
    return PlannedModel(captured, context, report, recipe)


def plans_of(planned: PlannedModel) -> list[SitePlan]:
    """Return the plan of every site, in graph order."""
    return [plan for _, plan in iter_plans(planned.captured.graph_module.graph)]


def versions() -> dict[str, str]:
    """Return the versions of what made a result."""
    return {package: metadata.version(package) for package in ("asim-fx", "torch", "torchvision", "timm")}


def _silent(_: str) -> None:
    pass


def _check_macs(sites: Sequence[OpSite], context: PassContext, captured: Captured) -> None:
    """Refuse a graph whose sites do not add up to what eager execution multiplies."""
    if captured.eager_macs is None:
        return
    found = sum(site.example_macs for site in sites) + sum(op.macs for op in context.log.folded)
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


__all__ = ["ConvertedModel", "PlannedModel", "convert", "plan", "plans_of", "versions"]
