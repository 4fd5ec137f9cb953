"""Find what cannot run as the spec asks, and say so."""

from __future__ import annotations

from dataclasses import replace

from torch.fx import GraphModule

from asim_fx.errors import PlanError, SpecError, SpecIssue
from asim_fx.ir import OpKind, OpSite, SitePlan, Target, annotate, iter_plans
from asim_fx.pipeline import Fact, PassContext, graph_pass
from asim_fx.spec.checks import problems


@graph_pass(requires=[Fact.MAPPING], provides=[Fact.LEGAL])
def check_support(graph_module: GraphModule, context: PassContext) -> bool:
    """Leave in float what has no analog or integer form, with the reason; refuse settings that physics does not allow.

    Example:
        a complex linear that the spec maps to ``analog`` becomes ``float: its operands are complex64 ...``.

    Raises:
        SpecError: fields of some site exclude each other. All such sites are named.
        PlanError: under ``strict``, a site that the spec does not leave in float has no other form.
    """
    issues: list[SpecIssue] = []
    unmapped: list[str] = []
    dynamic, folded, normed = 0, 0, set(context.log.normed)
    for node, plan in iter_plans(graph_module.graph):
        if plan.target is Target.FLOAT:
            continue
        if plan.site.unsupported:
            unmapped.append(f"{plan.site.label}: {plan.site.unsupported}")
            annotate(node, plan=replace(plan, target=Target.FLOAT, reason=plan.site.unsupported))
            continue
        issues += _issues(plan)
        dynamic += plan.settings.scale == "dynamic" and not plan.site.input_clip
        folded += plan.settings.weight_scale == "tensor" and plan.site.name in normed
        annotate(node, plan=replace(plan, notes=plan.notes + _notes(plan)))
    if issues:
        raise SpecError(list(dict.fromkeys(issues)))
    if unmapped and context.strict:
        raise PlanError(
            "these sites cannot be mapped:\n  " + "\n  ".join(unmapped),
            hint="leave them in float by a rule with `target: float`, or run without --strict",
        )
    if dynamic:
        context.log.note(
            context.prefix,
            f"batch-dependent: {dynamic} site{'s' * (dynamic > 1)} with `scale: dynamic`, the largest value of a whole "
            "batch, so results depend on which images share one; `sample` and `static` scales do not",
        )
    if folded:
        context.log.note(
            context.prefix,
            f"batch norm is folded into the weights of {folded} site{'s' * (folded > 1)}, whose channels share one "
            "scale all the same: `weight_scale: channel` or --no-fold-batch-norm loses less accuracy",
        )
    return False


def _issues(plan: SitePlan) -> list[SpecIssue]:
    found = []
    for field, message in problems(plan.settings, plan.signed):
        where = plan.provenance.get(field, plan.decided_by)
        found.append(SpecIssue(where, field, f"{message} (at {plan.site.label})"))
    return found


def _notes(plan: SitePlan) -> tuple[str, ...]:
    site, notes = plan.site, []
    if site.input_clip:
        notes.append(f"the scale of its input is the learned bound {site.input_clip}")
    if site.layout is None:
        notes.append("batch-dependent: samples cannot be followed to this site, so its noise depends on the batch")
    if plan.settings.weight_scale == "channel" and not has_channels(site):
        notes.append("`weight_scale: channel` works as `tensor`: the stored operand is an activation, not a weight")
    if plan.settings.scale != "static" and plan.settings.calibration.method != "max":
        notes.append(f"`calibration.method` has no effect: the scale is `{plan.settings.scale}`, not `static`")
    if plan.settings.scale == "sample" and not follows_samples(site):
        notes.append("batch-dependent: samples cannot be followed here, so `scale: sample` works as `dynamic`")
    if site.kind is OpKind.CONV and not site.static_weight:
        notes.append("its weight is computed from the input, so the arrays are written anew at each call")
        if plan.settings.scale == "static":
            notes.append("batch-dependent: the scale of its computed weight is `dynamic`")
    if plan.settings.vote.levels and plan.settings.vote.how == "mode" and plan.target is Target.ANALOG:
        notes.append("mode votes have a bias that adds up over cycles and tiles")
    return tuple(notes)


def has_channels(site: OpSite) -> bool:
    """Return whether each output can have a weight scale of its own.

    What attention stores is computed for each image: a scale for each of its columns would have to be, too.
    """
    return site.static_weight and site.kind in (OpKind.CONV, OpKind.LINEAR)


def follows_samples(site: OpSite) -> bool:
    """Return whether the samples of a batch are known in the result and in every operand that is an activation."""
    layouts = [site.layout, site.input_layout] + ([] if site.static_weight else [site.weight_layout])
    return None not in layouts
