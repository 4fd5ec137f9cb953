from __future__ import annotations

from dataclasses import replace

import pytest

from asim_fx.report.cost import PARTS
from asim_fx.report.energy import BAR_PARTS, MOST_BARS, SMALL, VOTES, energy_bars, together
from tests.report.synthetic import resnet_like, vit_like


@pytest.mark.parametrize("report", [resnet_like(), resnet_like((1, 1, 1, 1)), vit_like()], ids=["50", "14", "vit"])
def test_no_energy_is_lost_or_counted_twice(report):
    bars = energy_bars(report)
    whole = together("all", bars)
    assert whole.known_j == pytest.approx(report.totals["energy_j"], rel=1e-6)
    assert whole.low_j == pytest.approx(report.totals["energy_low_j"], rel=1e-6)
    on_chip = [row.name for row in report.rows if row.target != "float"]
    assert sorted(site.name for site in whole.members) == sorted(on_chip)
    assert len(bars) <= MOST_BARS
    for bar in bars:
        assert bar.known_j == pytest.approx(sum(site.known_j for site in bar.members or (bar,)))
    adders = dict(whole.parts)["accumulation"]
    assert adders == pytest.approx(report.totals["energy_accumulation_j"], rel=1e-6)


def test_votes_take_their_share_of_what_a_read_costs():
    report = resnet_like()
    row = next(row for row in report.rows if row.name == "layer4.0.conv2")
    (bar,) = energy_bars(replace(report, rows=(row,)))
    parts = dict(bar.parts)
    reads = [n for line in row.reads_per_cell for n in line]
    again = sum(n - 1 for n in reads if n > 1) / sum(reads)
    reading = sum(row.energy_parts_j[part] for part in ("adc", "array"))
    assert parts[VOTES] == pytest.approx(again * reading)
    assert parts["adc"] == pytest.approx((1 - again) * row.energy_parts_j["adc"])
    assert parts["accumulation"] == row.energy_parts_j["accumulation"]
    assert 0.1 < again < 0.9


def test_small_bars_become_one_that_names_them():
    report = resnet_like()
    tiny = tuple(
        replace(
            report.rows[1], name=f"tiny{n}", energy_parts_j={"adc": 1e-12}, reads_per_cell=((1,),), energy_low_j=1e-13
        )
        for n in range(13)
    )
    bars = energy_bars(replace(report, rows=(report.rows[1], *tiny)))
    assert [bar.name for bar in bars] == [report.rows[1].name, f"13 sites, each below {100 * SMALL:g} %"]
    assert bars[1].sites == len(bars[1].members) == 13


def test_what_is_unknown_is_no_zero():
    report = resnet_like((1, 1, 1, 1))
    first = report.rows[1]
    models = {**first.cost_models, "adc": "unknown: needs `cost.node_nm`"}
    row = replace(first, energy_parts_j={**first.energy_parts_j, "adc": None}, cost_models=models, energy_low_j=None)
    bars = energy_bars(replace(report, rows=(row, *report.rows[2:])))
    assert "adc" not in dict(bars[0].parts)
    assert bars[0].missing == ("adc: needs `cost.node_nm`",)
    whole = together("all", bars)
    assert (whole.unknown_sites, whole.low_j) == (1, None)
    assert whole.missing == bars[0].missing


def test_bars_know_every_part_of_a_cost():
    assert set(PARTS) | {VOTES} == set(BAR_PARTS)
