"""Decide for every site what the spec says about it."""

from __future__ import annotations

from torch.fx import GraphModule

from asim_fx.ir import OpKind, OpSite, SitePlan, Target, annotate, iter_sites
from asim_fx.pipeline import Fact, PassContext, graph_pass
from asim_fx.rules import Resolved, resolve


@graph_pass(requires=[Fact.SITES, Fact.CLIPS, Fact.SIGNS, Fact.LAYOUTS], provides=[Fact.MAPPING])
def resolve_rules(graph_module: GraphModule, context: PassContext) -> bool:
    """Give every site a SitePlan: all fields of the spec, each with the rule and line that set it.

    Example:
        with ``rules: [{match: {op: qk}, input_bits: 9}]``, the site ``blocks.0.attn.qk`` gets ``input_bits`` 9 from
        ``rules[0]`` and everything else from ``defaults``.
    """
    for node, site in iter_sites(graph_module.graph):
        annotate(node, plan=_plan(site, resolve(context.spec, site)))
    return False


def _plan(site: OpSite, resolved: Resolved) -> SitePlan:
    settings = resolved.settings
    target = Target(settings.target)
    signed, because = _input_sign(site, settings.signed)
    reason = ""
    if target is not Target.ANALOG:
        reason = resolved.why or f"the spec says {target.value} ({resolved.decided_by})"
    return SitePlan(
        site=site,
        target=target,
        settings=settings,
        provenance=resolved.provenance,
        decided_by=resolved.decided_by,
        why=resolved.why,
        reason=reason,
        signed=signed,
        signed_because=because,
        weight_signed=not (site.kind is OpKind.MATMUL and site.weight_nonnegative),
    )


def _input_sign(site: OpSite, signed: bool | str) -> tuple[bool, str]:
    if signed == "auto":
        if site.input_nonnegative:
            return False, site.input_nonnegative
        return True, "not proven non-negative"
    return bool(signed), "the spec says so" if signed else "the spec says so; negative values become 0"
