from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from asim_fx.errors import PlanError, SpecError
from asim_fx.ir import Target, annotate, iter_plans
from asim_fx.passes import ANALYSIS_PIPELINE
from asim_fx.passes.check_support import check_support
from asim_fx.passes.resolve_rules import resolve_rules
from asim_fx.pipeline import Fact, PassContext, Pipeline
from tests.passes.helper import captured
from tests.passes.planning import TOKENS, Attention, planned, spec_of


def unsupported_out(strict: bool, text: str = "") -> dict[str, object]:
    """Run the pass on a graph whose site ``out`` was found to have no analog form."""
    graph_module = captured(Attention(), TOKENS)
    context = PassContext(spec=spec_of(text), strict=strict)
    Pipeline((*ANALYSIS_PIPELINE, resolve_rules)).run(graph_module, context)
    for node, plan in iter_plans(graph_module.graph):
        if plan.site.name == "out":
            annotate(node, plan=replace(plan, site=replace(plan.site, unsupported="no such cells")))
    check_support(graph_module, context)
    return {plan.site.name: plan for _, plan in iter_plans(graph_module.graph)}


def test_what_has_no_form_stays_float_with_the_reason() -> None:
    plans = unsupported_out(strict=False)
    assert plans["out"].target is Target.FLOAT
    assert plans["out"].reason == "no such cells"
    assert plans["qkv"].target is Target.ANALOG


def test_under_strict_it_is_an_error() -> None:
    with pytest.raises(PlanError, match="out: no such cells"):
        unsupported_out(strict=True)


def test_strict_says_nothing_of_what_the_spec_leaves_in_float() -> None:
    plans = unsupported_out(True, "rules:\n  - {match: {name: out}, target: float, why: my choice}\n")
    assert plans["out"].reason == "my choice"


def test_settings_that_exclude_each_other_at_a_site_name_it() -> None:
    """One bit is fine for the unsigned input of qkv, not for the signed one of out."""
    rule = "rules:\n  - {match: {op: linear}, input_bits: 1}\n"
    with pytest.raises(SpecError) as caught:
        planned(Attention(), (TOKENS,), rule, until=Fact.LEGAL)
    assert "chip.yaml:6" in str(caught.value)
    assert "out" in str(caught.value)
    assert "qkv" not in str(caught.value)


def test_mode_votes_are_said_to_be_biased() -> None:
    _, plans = planned(Attention(), (TOKENS,), "defaults: {vote: {levels: 2, samples: 3}}\n", until=Fact.LEGAL)
    assert all("bias" in " ".join(plan.notes) for plan in plans.values())
    how = "defaults: {vote: {levels: 2, samples: 3, how: median}}\n"
    _, plans = planned(Attention(), (TOKENS,), how, until=Fact.LEGAL)
    assert not any(plan.notes for plan in plans.values())


class AcrossBatch(nn.Module):
    """Sorts the samples of a batch, so that nobody knows where they are."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(x.sort(dim=0).values)


def test_samples_that_cannot_be_followed_are_noted() -> None:
    _, plans = planned(AcrossBatch(), (TOKENS[:, 0],), "defaults: {scale: sample}\n", until=Fact.LEGAL)
    notes = " ".join(plans["fc"].notes)
    assert "noise depends on the batch" in notes
    assert "works as `dynamic`" in notes


def test_one_note_says_how_many_scales_hang_on_the_batch() -> None:
    def notes(scale: str) -> list[str]:
        graph_module = captured(Attention(), TOKENS)
        context = PassContext(
            spec=spec_of(f"defaults: {{scale: {scale}}}\nrules: [{{match: {{name: out}}, target: float}}]\n")
        )
        Pipeline((*ANALYSIS_PIPELINE, resolve_rules)).run(graph_module, context)
        check_support(graph_module, context)
        return [text for _, text in context.log.notes]

    [note] = notes("dynamic")
    assert note.startswith("batch-dependent: 3 sites with `scale: dynamic`")  # qkv, qk and av; `out` is in float
    assert notes("sample") == []


def test_norms_folded_into_weights_with_one_scale_are_said() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3))

    def notes(text: str, **changes: bool) -> list[str]:
        graph_module = captured(model.eval(), torch.rand(2, 3, 6, 6))
        context = PassContext(spec=spec_of(f"defaults: {{scale: sample, {text}}}\n"), **changes)
        Pipeline((*ANALYSIS_PIPELINE, resolve_rules)).run(graph_module, context)
        check_support(graph_module, context)
        return [text for _, text in context.log.notes]

    [note] = notes("weight_scale: tensor")
    assert note.startswith("batch norm is folded into the weights of 1 site,")
    assert notes("weight_scale: channel") == []
    assert notes("weight_scale: tensor", fold_batch_norm=False) == []
    assert notes("target: float") == []
