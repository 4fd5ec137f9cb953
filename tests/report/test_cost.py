from __future__ import annotations

import pytest

from asim_fx.ir import Target
from asim_fx.report.build import build_report
from asim_fx.report.cost import PARTS, cost_lines
from asim_fx.report.files import render
from asim_fx.spec.loader import load_spec
from asim_fx.spec.schema import Macro
from tests.report.synthetic import SPEC, linear, plan, resnet_like, vit_like

SUMS = ("energy_j", "energy_low_j", "energy_high_j", "area_mm2", "adc_area_mm2", "setup_energy_j")


def without_technology(made):
    return type(made)(**{**_fields(made), "settings": made.settings.model_copy(update={"macro": Macro()})})


def _fields(made):
    return {name: getattr(made, name) for name in made.__dataclass_fields__}


def report(*plans, spec=SPEC):
    return build_report(plans, model="m", spec=spec, parameters=None)


@pytest.mark.parametrize("made", [resnet_like(), vit_like()], ids=["resnet", "vit"])
def test_totals_are_sums_of_rows(made):
    for name in SUMS:
        values = [getattr(row, name) for row in made.rows if row.target != "float"]
        known = [value for value in values if value is not None]
        if made.totals[name] is not None:
            assert made.totals[name] == pytest.approx(sum(known), rel=1e-6)
    for part in PARTS:
        found = [row.energy_parts_j[part] for row in made.rows if part in row.energy_parts_j]
        assert made.totals[f"energy_{part}_j"] == (pytest.approx(sum(found), rel=1e-6) if found else None)
    parts = [made.totals[f"energy_{part}_j"] or 0 for part in PARTS]
    assert made.totals["energy_j"] == pytest.approx(sum(parts), rel=1e-6)
    assert made.totals["sites_without_energy"] == made.totals["sites_float"] == 1


def test_efficiency_counts_the_macs_whose_energy_it_divides_by():
    made = resnet_like()
    macs = made.totals["macs_analog"] + made.totals["macs_integer"]
    assert made.totals["tops_per_w"] == pytest.approx(2e-12 * macs / made.totals["energy_j"], rel=1e-6)
    row = made.rows[1]
    assert row.tops_per_w == pytest.approx(2e-12 * row.macs / row.energy_j, rel=1e-6)


def test_calls_add_up_and_share_their_arrays():
    one = report(plan(linear("x", 300, 40))).rows[0]
    two = report(plan(linear("x", 300, 40)), plan(linear("x", 300, 40))).rows[0]
    assert two.energy_j == pytest.approx(2 * one.energy_j)
    assert two.latency_s == pytest.approx(2 * one.latency_s)
    assert (two.arrays, two.adc_area_mm2, two.setup_energy_j) == (one.arrays, one.adc_area_mm2, one.setup_energy_j)


def test_one_unknown_row_makes_the_total_unknown():
    made = report(plan(linear("a", 300, 40)), without_technology(plan(linear("b", 300, 40))))
    known, unknown = made.rows
    assert known.energy_j > 0
    assert unknown.energy_j is unknown.tops_per_w is None
    assert made.totals["energy_j"] is made.totals["tops_per_w"] is made.totals["energy_column_j"] is None
    assert made.totals["sites_without_energy"] == 1


def test_a_model_without_sites_on_the_chip_has_no_cost():
    made = report(plan(linear("f", 4, 4), Target.FLOAT, reason="r"))
    assert made.rows[0].energy_j is None
    assert made.totals["energy_j"] is made.totals["latency_s"] is None
    assert cost_lines(made) == []


def test_every_figure_names_its_model_and_band():
    row = report(plan(linear("x", 300, 40), hybrid=2)).rows[0]
    assert row.cost_models["adc"] == "uiuc-fit, charge-redistribution, x/÷3.9"
    assert row.cost_models["digital"] == "uiuc-fit, digital, x/÷2.5"
    assert set(row.energy_parts_j) < set(row.cost_models)
    assert row.energy_low_j < row.energy_j < row.energy_high_j


@pytest.mark.parametrize("form", ["md", "html", "csv", "json"])
def test_every_form_shows_energy_with_its_model(form):
    text = render(resnet_like((1, 1, 1, 1)), form)
    assert "uiuc-fit, charge-redistribution, x/÷3.9" in text
    assert "zigzag-imc ADC delay" in text


def test_what_a_chip_has_not_published_is_noted():
    made = report(plan(linear("x", 300, 40)), spec=load_spec("jia-jssc2020"))
    ((where, text),) = made.notes
    assert where == "spec"
    assert "macros.m.noise.random_percent_fs" in text
