"""Replace every analog and integer site by a call of the module that simulates it."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn
from torch.fx import GraphModule, Node
from torch.fx.node import Argument

from asim_fx.encoding import CellLayout
from asim_fx.graph.edit import fetch, has_path, packet_of
from asim_fx.graph.recurrence import RECURRENCE
from asim_fx.ir import OpKind, OpSite, SitePlan, Target, iter_plans
from asim_fx.nn import Choosing, CimConv, CimConvTranspose, CimLinear, CimMatmul, CimModule, CimRecurrence
from asim_fx.ops.config import OpConfig, Operand, ReadEffects
from asim_fx.passes.check_support import follows_samples, has_channels
from asim_fx.passes.read_effects import read_effects
from asim_fx.pipeline import Fact, PassContext, graph_pass
from asim_fx.spec import HardwareSpec

RNG = "asim_rng"
"""Name of the buffer that every lowered call reads: int64 [seed, number of the batch's first sample, die or -1]."""


@graph_pass(requires=[Fact.VOTED, Fact.NO_SDPA, Fact.FLAT], provides=[Fact.LOWERED])
def lower_sites(graph_module: GraphModule, context: PassContext) -> bool:
    """Put ``<site>.cim`` beside each site's weight and call it instead of the torch operation.

    Weights stay where they are, under their own keys; the new module gets them as arguments.

    Example:
        ``aten.linear(x, fc.weight, fc.bias)`` becomes ``fc.cim(x, fc.weight, fc.bias, asim_rng)``.
    """
    plans = [(node, plan) for node, plan in iter_plans(graph_module.graph) if plan.target is not Target.FLOAT]
    if not plans:
        return False
    graph_module.register_buffer(RNG, torch.tensor([0, 0, -1]), persistent=False)
    graph = graph_module.graph
    with graph.inserting_before(next(node for node in graph.nodes if node.op != "placeholder")):
        rng = graph.get_attr(RNG)
    for node, plan in plans:
        target = _module_name(graph_module, plan, context.prefix)
        module = _module(node, plan, context.spec)
        module.choosing = _choosing(plan)
        if plan.site.input_clip:
            module.input_scale = None  # the bound is the scale, and is never calibrated
        graph_module.add_submodule(target, module)
        with graph.inserting_before(node):
            call = graph.call_module(target, (*_operands(node, plan), rng, *_clip(graph_module, plan)))
        call.meta = {**node.meta, "custom": {**node.meta.get("custom", {}), "asim": _stamp(plan)}}
        node.replace_all_uses_with(call)
        graph.erase_node(node)
    return True


def _module_name(graph_module: GraphModule, plan: SitePlan, prefix: str) -> str:
    """Return ``<name>.cim``, or ``<name>_cim`` where the name is a parameter's own and can have nothing below it."""
    name = plan.site.name.removeprefix(prefix).removeprefix(".")
    call = f"_{plan.site.call}" if plan.site.call else ""
    if not name:
        return f"cim{call}"
    is_tensor = has_path(graph_module, name) and not isinstance(fetch(graph_module, name), nn.Module)
    return f"{name}{'_' if is_tensor else '.'}cim{call}"


def _choosing(plan: SitePlan) -> Choosing:
    scale, adc = plan.settings.calibration, plan.settings.macro.adc
    window = adc.window.method if plan.target is Target.ANALOG and adc.range == "calibrated" else None
    return Choosing(scale.method, scale.percentile, window, adc.window.percentile)


def _module(node: Node, plan: SitePlan, spec: HardwareSpec) -> CimModule:
    site, config = plan.site, op_config(plan, spec)
    if site.kind is OpKind.CONV:
        if site.geometry is None:
            raise AssertionError(site.name)
        if site.geometry.transposed:
            return CimConvTranspose(config, site.geometry, site.groups)
        return CimConv(config, site.geometry, site.groups, computed_weight=not site.static_weight)
    if packet_of(node) is RECURRENCE:
        cell, reverse = node.args[5:]
        return CimRecurrence(config, str(cell), bool(reverse))
    if site.kind is OpKind.LINEAR:
        return CimLinear(config)
    return CimMatmul(config, stored_first=site.kind is OpKind.QK)


def _operands(node: Node, plan: SitePlan) -> tuple[Argument, ...]:
    if packet_of(node) is RECURRENCE:
        return node.args[:5]
    if plan.site.kind in (OpKind.CONV, OpKind.LINEAR):
        x, weight, *rest = node.args
        return x, weight, rest[0] if rest else node.kwargs.get("bias")
    return node.args[0], node.args[1]


def _clip(graph_module: GraphModule, plan: SitePlan) -> tuple[Node, ...]:
    """Return the node of the learned bound of what a site reads, where it has one."""
    path = plan.site.input_clip
    return (
        ()
        if not path
        else (next(node for node in graph_module.graph.nodes if node.op == "get_attr" and node.target == path),)
    )


def op_config(plan: SitePlan, spec: HardwareSpec) -> OpConfig:
    """Return what an engine must know about a planned site.

    Args:
        plan: of an analog or integer site, with its BitPlan.
        spec: the document, with its measured files.

    Raises:
        SpecError: a measured file does not have the length that the site's settings ask for.
    """
    site, settings = plan.site, plan.settings
    if plan.bits is None:
        raise AssertionError(site.name)
    scale: Literal["tensor", "sample", "static"] = "static" if site.input_clip else _scale(plan)
    if scale == "static":
        # Only CimMatmul has a calibrated scale for its stored operand.
        weight_scale: Literal["tensor", "sample", "channel", "static"] = "static" if _is_matmul(site) else "tensor"
    else:
        # A weight is one tensor whatever the batch.
        weight_scale = "tensor" if site.static_weight else scale
    if settings.weight_scale == "channel" and has_channels(site):
        weight_scale = "channel"
    if plan.tiles is None:
        step, read = site.k, ReadEffects(rows=site.k)
    else:
        step, read = plan.tiles.step, read_effects(plan, spec.files)
        if plan.settings.macro.adc.range == "used":
            step = min(step, site.k)
    return OpConfig(
        site=site.label,
        input=Operand(settings.input_bits, plan.signed, scale, site.input_layout),
        weight=Operand(settings.weight_bits, plan.weight_signed, weight_scale, site.weight_layout),
        plan=plan.bits,
        step=step,
        read=read,
        layout=site.layout,
        array=site.name,
        engine=spec.engine,
        stored=CellLayout() if plan.tiles is None else settings.macro.layout,
    )


def _scale(plan: SitePlan) -> Literal["tensor", "sample", "static"]:
    """Return over what a scale is taken; check_support has noted where ``sample`` is not possible."""
    if plan.settings.scale == "static":
        return "static"
    return "sample" if plan.settings.scale == "sample" and follows_samples(plan.site) else "tensor"


def _is_matmul(site: OpSite) -> bool:
    return site.kind not in (OpKind.CONV, OpKind.LINEAR)


def _stamp(plan: SitePlan) -> dict[str, object]:
    """Return what survives export and re-tracing, which drop every meta key but ``custom``."""
    return {"site": plan.site.label, "kind": plan.site.kind.value, "target": plan.target.value, "reads": plan.reads}
