from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from asim_fx.ir import BitPlan, Target
from asim_fx.passlog import FoldedOp
from asim_fx.report.build import NO_REASON, build_report
from tests.report.synthetic import SPEC, conv, linear, plan, resnet_like, vit_like


def report(*plans, **more):
    return build_report(plans, model="m", spec=SPEC, **{"parameters": 7, **more})


def test_figures_of_one_site_computed_by_hand():
    (row,) = report(plan(conv("c", 64, 32, 3, 10), hybrid=2, vote=4)).rows
    assert (row.k, row.n, row.vectors, row.macs, row.weights) == (576, 32, 100, 576 * 32 * 100, 576 * 32)
    # Levels 0 and 1 are 3 cells, levels 2 and 3 are 7, of 64; 576 taps lie on 3 row tiles of 255.
    assert (row.cells_digital, row.cells_voted, row.cells_analog, row.cycles) == (3, 7, 54, 64)
    assert row.reads == 100 * 32 * 3 * (7 * 3 + 54)
    assert row.vote == "median"
    assert row.geometry == "3x3, padding 1"
    assert row.settings["macro.adc.bits"] == 8
    assert row.settings["macro"] == "m"


def test_calls_of_one_name_make_one_row_whose_weights_count_once():
    calls = [plan(conv("head", 8, 4, 1, size, call=number)) for number, size in enumerate((8, 4, 2))]
    made = report(*calls)
    (row,) = made.rows
    assert (row.name, row.calls, row.weights) == ("head", 3, 32)
    assert row.vectors == 64 + 16 + 4
    assert row.macs == 32 * row.vectors
    assert row.reads == sum(call.reads for call in calls) > 0
    assert "shapes are those of the first of 3 calls" in row.notes
    assert made.totals["sites"] == 1


def test_a_call_that_was_decided_otherwise_has_its_own_row():
    made = report(plan(conv("head", 8, 4, 1, 8)), plan(conv("head", 8, 4, 1, 8, call=1), signed=True))
    assert [(row.name, row.calls, row.signed) for row in made.rows] == [("head", 1, False), ("head@1", 1, True)]


@pytest.mark.parametrize("made", [resnet_like(), vit_like()], ids=["resnet", "vit"])
def test_totals_add_up(made):
    totals = made.totals
    parts = ("analog", "integer", "float")
    assert totals["macs"] == sum(totals[f"macs_{part}"] for part in (*parts, "constant"))
    assert totals["macs_digital"] == totals["macs"] - totals["macs_analog"]
    assert totals["analog_share"] == totals["macs_analog"] / totals["macs"]
    assert totals["sites"] == sum(totals[f"sites_{part}"] for part in parts) == len(made.rows)
    assert totals["reads"] == sum(row.reads for row in made.rows)
    assert sum(row.share for row in made.unmapped) == pytest.approx(1 - totals["analog_share"])


def test_resnet50_multiplies_what_it_is_known_to():
    totals = resnet_like().totals
    assert totals["macs"] - totals["macs_constant"] == 4_089_184_256
    assert totals["sites"] == 54


def test_what_is_not_analog_is_named_with_its_reason_largest_first():
    made = report(
        plan(linear("small", 4, 2), Target.FLOAT, reason="too small"),
        plan(linear("analog", 64, 64)),
        plan(linear("big", 64, 64), Target.INTEGER, reason="kept exact"),
        folded=[FoldedOp("pos", "aten.mul.Tensor", 5), FoldedOp("pos", "aten.mul.Tensor", 6)],
    )
    found = [(row.name, row.kind, row.macs, row.reason) for row in made.unmapped]
    assert found == [
        ("big", "linear", 4096, "integer: kept exact"),
        ("pos", "constant", 11, "computed once while compiling (aten.mul.Tensor)"),
        ("small", "linear", 8, "float: too small"),
    ]
    assert made.totals["macs"] == 2 * 4096 + 8 + 11


def test_a_missing_reason_is_said_to_be_missing():
    (row,) = report(plan(linear("x", 4, 4), Target.FLOAT)).rows
    assert row.reason == NO_REASON


def test_what_does_not_apply_is_none_rather_than_zero():
    exact, plain = report(
        plan(linear("i", 4, 4), Target.INTEGER, reason="r"), plan(linear("f", 4, 4), Target.FLOAT, reason="r")
    ).rows
    assert (exact.weight_bits, exact.adc_bits, exact.cells_digital, exact.utilisation) == (8, None, None, None)
    assert "macro.rows" not in exact.settings
    assert (plain.weight_bits, plain.signed, plain.scale, plain.settings) == (None, None, None, {})
    empty = report(parameters=None)
    assert empty.totals["analog_share"] is None
    assert empty.totals["parameters"] is None


def test_integer_cells_are_not_counted_as_partitioned():
    exact = replace(plan(linear("i", 4, 4), Target.INTEGER, reason="r"), bits=BitPlan(((0,) * 8,) * 8, (1,) * 8))
    assert report(exact).totals["cells_digital"] == 0


def test_the_report_needs_no_torch():
    code = (
        "import sys, asim_fx.report.build, asim_fx.report.files, asim_fx.report.table, asim_fx.report.dataflow;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
