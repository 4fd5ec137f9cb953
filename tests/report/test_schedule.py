from __future__ import annotations

from dataclasses import replace

import pytest

from asim_fx.ir import OpKind
from asim_fx.report.build import build_report
from asim_fx.report.files import render, to_csv
from asim_fx.report.order import waits_of
from asim_fx.report.rows import Dataflow, DataflowNode
from asim_fx.report.schedule_lines import schedule_lines
from asim_fx.report.serial import from_json, to_json
from asim_fx.spec.chip_mapping import ChipMapping
from asim_fx.spec.macro_cost import MacroCost
from asim_fx.spec.schema import Macro
from tests.report.synthetic import MACRO, SPEC, attention, conv, linear, plan, resnet_like, vit_like


def chip(count: int | str, **mapping: object):
    macro = MACRO.model_copy(update={"count": count})
    return SPEC.model_copy(update={"macros": {"m": macro}, "mapping": ChipMapping.model_validate(mapping)})


def report(*plans, spec=SPEC):
    return build_report(plans, model="m", spec=spec, parameters=None)


def test_without_a_count_every_tile_has_a_macro_and_sites_follow_one_another():
    made = report(plan(linear("a", 300, 40, 10)), plan(linear("b", 40, 40, 10)))
    assert made.totals["latency_s"] == pytest.approx(sum(row.latency_s for row in made.rows))
    assert made.totals["macros_used"] == made.totals["arrays"]
    assert made.totals["interval_s"] == max(row.latency_s for row in made.rows)
    assert made.totals["mj_per_image"] == pytest.approx(1e3 * made.totals["energy_j"])
    assert (made.totals["reloads"], made.totals["rounds"]) == (0, 1)


def test_branches_of_a_resnet_work_at_the_same_time():
    made = resnet_like()
    assert made.totals["latency_s"] < made.totals["sequential_s"]
    assert made.totals["sequential_s"] == pytest.approx(sum(row.latency_s for row in made.rows if row.latency_s))
    waiting = {slot.site: slot.start_s for slot in made.schedule.slots}
    assert waiting["layer1.0.downsample.0"] == waiting["layer1.0.conv1"] == 0


def test_calls_of_one_layer_share_its_macros_and_wait_for_each_other():
    first = linear("head", 300, 40)
    made = report(plan(first), plan(replace(first, call=1)))
    one, two = made.schedule.slots
    assert (one.row, one.first_macro, one.macros) == (two.row, two.first_macro, two.macros)
    assert two.start_s == one.end_s
    assert made.totals["interval_s"] == pytest.approx(made.rows[0].latency_s)


def test_too_few_macros_load_weights_again_and_say_so():
    plans = (plan(linear("a", 300, 40)), plan(linear("b", 300, 40)))
    made = report(*plans, spec=chip(5))
    assert made.totals["reloads"] == made.totals["macros_needed"] == 8
    assert made.totals["rounds"] == 2
    assert made.totals["energy_reload_j"] == pytest.approx(made.totals["setup_energy_j"])
    assert made.totals["mj_per_image"] > 1e3 * made.totals["energy_j"]
    assert "too few macros (5 of `m`, which 8 would hold)" in " ".join(made.schedule.notes)
    assert "`mapping.load_gbit_per_s` and `mapping.load_pj_per_bit` unknown" in " ".join(made.schedule.notes)
    told = report(*plans, spec=chip(5, load_gbit_per_s=1e-3, load_pj_per_bit=4))
    bits = 2 * 300 * 40 * 8
    assert told.totals["latency_s"] == pytest.approx(bits / 1e6 + sum(row.latency_s for row in told.rows), rel=1e-6)
    more = told.totals["energy_reload_j"] - made.totals["energy_reload_j"]
    assert more == pytest.approx(4e-12 * bits, rel=1e-6)
    assert not any("not included: `mapping" in note for note in told.schedule.notes)


def test_groups_share_a_macro_where_the_spec_says_so():
    depthwise = plan(conv("dw", 64, 64, 3, 14, groups=64))
    alone, packed = (report(depthwise, spec=chip("unlimited", pack=how)) for how in ("none", "groups"))
    assert (alone.totals["macros_used"], packed.totals["macros_used"]) == (64, 3)
    assert alone.totals["latency_s"] == packed.totals["latency_s"]
    assert alone.totals["reads"] == packed.totals["reads"]


def test_the_buffer_holds_a_residual_and_is_compared_with_the_spec():
    def node(number: int, label: str, kind: str, elements: int) -> DataflowNode:
        return DataflowNode(number, label, kind, elements=elements)

    flow = Dataflow(
        (
            node(0, "x", "input", 2048),
            node(1, "a", "linear", 4096),
            node(2, "add", "other", 2048),
            node(3, "b", "linear", 512),
            node(4, "y", "output", 512),
        ),
        ((0, 1), (1, 2), (0, 2), (2, 3), (3, 4)),
    )
    plans = [plan(linear("a", 300, 40)), plan(linear("b", 40, 40))]
    spec = chip("unlimited", buffer_kib=1)
    made = build_report(plans, model="m", spec=spec, parameters=None, dataflow=flow)
    # What `a` makes is added to `x` as it comes, so that only `x` and the sum are kept, in the 8 bits that `b` takes.
    assert (made.schedule.buffer_bytes, made.schedule.buffer_at) == (4096, "a")
    assert "the activation buffer is too small: 4.0 KiB are needed at a" in " ".join(made.schedule.notes)


def test_parts_follow_one_another():
    nodes = tuple(DataflowNode(number, f"s{number}", "linear") for number in range(4))
    flow = Dataflow(nodes, ((0, 1), (2, 3)))
    assert waits_of([node.label for node in nodes], flow) == [(), (0,), (1,), (2,)]


def test_an_unknown_time_is_not_taken_for_nothing():
    blind = plan(linear("a", 300, 40))
    macro = Macro.model_validate({"adc": {"bits": "ideal"}, "cost": MacroCost()})
    blind = replace(blind, settings=blind.settings.model_copy(update={"macro": macro}))
    made = report(blind, plan(linear("b", 300, 40)))
    for name in ("latency_s", "interval_s", "images_per_s", "mj_per_image", "tops_per_w"):
        assert made.totals[name] is None
    assert made.totals["macros_used"] == 8
    assert any(note.startswith("times are not known: a:") for note in made.schedule.notes)


def test_activations_are_written_for_each_image():
    made = report(plan(attention("qk", OpKind.QK, 3, 20, 64, 20)))
    assert made.totals["activation_loads"] == 3
    assert made.totals["reloads"] == 0


def test_every_form_holds_the_schedule():
    made = vit_like()
    assert from_json(to_json(made)).schedule == made.schedule
    text = render(made, "md")
    for line in schedule_lines(made):
        assert line.title in text
    header, first, *_ = to_csv(made).splitlines()
    slot = made.schedule.slots[0]
    assert float(first.split(",")[-1]) == slot.end_s
    assert header.split(",")[-1] == "end_s"
