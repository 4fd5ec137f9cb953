from __future__ import annotations

import pytest

from asim_fx.ir import DIGITAL, BitPlan
from asim_fx.pipeline import Fact
from tests.passes.planning import TOKENS, Attention, planned


def bits(text: str) -> BitPlan:
    _, plans = planned(Attention(), (TOKENS,), text, until=Fact.BITPLAN)
    assert plans["qkv"].bits is not None
    return plans["qkv"].bits


@pytest.mark.parametrize(("levels", "digital"), [(0, 0), (1, 1), (3, 6), (8, 36), (15, 64)])
def test_the_most_significant_cycles_are_digital(levels: int, digital: int) -> None:
    plan = bits(f"defaults: {{hybrid: {{levels: {levels}}}}}\n")
    assert (plan.digital_cells, plan.analog_cells) == (digital, 64 - digital)
    assert (plan.reads[7][7] == DIGITAL) is (levels > 0)


def test_planes_follow_bits_sign_and_encoding() -> None:
    plan = bits("defaults: {weight_bits: 5, input_bits: 8, input_encoding: 3}\n")  # qkv reads a relu: unsigned
    assert (plan.weight_planes, plan.input_widths) == (5, (3, 3, 2))


def test_an_integer_site_is_all_digital() -> None:
    plan = bits("defaults: {target: integer}\n")
    assert plan.digital_cells == 64
    assert plan.total_reads == 0


def test_weight_parallel_has_one_cell() -> None:
    text = "defaults: {input_encoding: 8}\n"
    _, plans = planned(
        Attention(),
        (TOKENS,),
        text + "rules:\n  - {match: {name: '**'}, macro: {weights: parallel}}\n",
        until=Fact.BITPLAN,
    )
    assert {plan.bits.reads for plan in plans.values()} == {((1,),)}
