from __future__ import annotations

from torch import nn

from asim_fx.ir import Target
from asim_fx.pipeline import Fact
from tests.passes.planning import TOKENS, Attention, planned


def test_every_field_knows_the_rule_and_line_that_set_it() -> None:
    rules = (
        "defaults:\n  weight_bits: 6\nrules:\n"
        "  - {match: {op: qk}, input_bits: 9}\n"
        "  - {match: {name: out}, target: integer, why: it is cheap}\n"
    )
    _, plans = planned(Attention(), (TOKENS,), rules, until=Fact.MAPPING)
    qk, out = plans["qk"], plans["out"]
    assert (qk.settings.input_bits, qk.settings.weight_bits) == (9, 6)
    assert qk.provenance["input_bits"] == "rules[0], chip.yaml:8"
    assert qk.provenance["weight_bits"].endswith("chip.yaml:6")
    assert plans["av"].settings.input_bits == 8
    assert out.target is Target.INTEGER
    assert out.reason == out.why == "it is cheap"
    assert out.decided_by == "rules[1], chip.yaml:9"


def test_auto_is_unsigned_only_where_proven() -> None:
    _, plans = planned(Attention(), (TOKENS,), until=Fact.MAPPING)
    assert (plans["qkv"].signed, plans["qkv"].signed_because) == (False, "relu")
    assert (plans["qk"].signed, plans["qk"].weight_signed) == (True, True)
    assert plans["av"].signed is False
    assert "softmax" in plans["av"].signed_because
    assert plans["out"].signed is True


def test_the_spec_overrules_the_proof() -> None:
    _, plans = planned(Attention(), (TOKENS,), "defaults: {signed: true}\n", until=Fact.MAPPING)
    assert all(plan.signed for plan in plans.values())
    _, plans = planned(Attention(), (TOKENS,), "defaults: {signed: false}\n", until=Fact.MAPPING)
    assert not any(plan.signed for plan in plans.values())
    assert "negative values become 0" in plans["out"].signed_because


def test_a_target_without_words_of_its_own_still_has_a_reason() -> None:
    _, plans = planned(nn.Linear(8, 3), (TOKENS,), "defaults: {target: float}\n", until=Fact.MAPPING)
    (plan,) = plans.values()
    assert plan.target is Target.FLOAT
    assert "float" in plan.reason
    assert "chip.yaml:5" in plan.reason
