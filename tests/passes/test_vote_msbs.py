from __future__ import annotations

from asim_fx.ir import SitePlan
from asim_fx.pipeline import Fact
from tests.passes.planning import TOKENS, Attention, planned


def qkv(text: str) -> SitePlan:
    _, plans = planned(Attention(), (TOKENS,), text, until=Fact.VOTED)
    return plans["qkv"]


def test_votes_start_where_digital_ends() -> None:
    plan = qkv("defaults: {hybrid: {levels: 2}, vote: {levels: 4, samples: 3, how: median}}\n")
    assert plan.bits is not None
    assert (plan.bits.digital_cells, plan.bits.voted_cells, plan.bits.analog_cells) == (3, 7, 54)
    assert plan.bits.vote == "median"


def test_reads_are_vectors_times_outputs_times_row_tiles_times_cells() -> None:
    plan = qkv("defaults: {hybrid: {levels: 2}, vote: {levels: 4, samples: 3}}\n")
    assert plan.reads == 4 * 24 * 1 * (7 * 3 + 54)


def test_an_integer_site_is_never_read() -> None:
    plan = qkv("defaults: {target: integer, vote: {levels: 4, samples: 3}}\n")
    assert plan.reads == 0
    assert plan.bits is not None
    assert plan.bits.voted_cells == 0
