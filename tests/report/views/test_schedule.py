from __future__ import annotations

from dataclasses import replace

import pytest

from asim_fx.mapping.schedule import Schedule
from asim_fx.report.elements import markup
from asim_fx.report.fragments import anchors
from asim_fx.report.views.gantt import MOST_LANES, lanes_of
from asim_fx.report.views.schedule import schedule_section
from tests.report.synthetic import resnet_like, scheduled, vit_like


def drawn(report):
    (section,) = schedule_section(report, anchors(report))
    return section


def slots(section):
    """Return what the title of each slot says -> (class, start %, width %)."""
    rects = [rect for rect in section.iter("rect") if rect.get("class") != "slot-load"]
    return {
        rect.findtext("title").split(":")[0]: (
            rect.get("class"),
            float(rect.get("x").rstrip("%")),
            float(rect.get("width").rstrip("%")),
        )
        for rect in rects
    }


def test_every_call_is_drawn_where_and_as_long_as_it_works():
    report = scheduled(resnet_like((1, 1, 1, 1)))
    schedule = report.schedule
    found = slots(drawn(report))
    assert found.keys() == {slot.site for slot in schedule.slots}
    for slot in schedule.slots:
        kind, start, width = found[slot.site]
        assert kind == ("slot-critical" if slot.site in schedule.critical_path else "slot-slack")
        assert width == pytest.approx(max(100 * slot.busy_s / schedule.latency_s, 0.2), abs=0.01)
        assert start == pytest.approx(100 * slot.start_s / schedule.latency_s, abs=0.21)
        assert start + width < 100.01
    assert {kind for kind, _, _ in found.values()} == {"slot-critical", "slot-slack"}


def test_rounds_show_when_weights_are_loaded():
    report = scheduled(resnet_like(), rounds=3)
    section = drawn(report)
    bands = [rect for rect in section.iter("rect") if rect.get("class") == "slot-load"]
    assert len(bands) == 3
    assert bands[1].findtext("title") == "round 1: 64 macros loaded in 200 µs"
    assert "192 macros reloaded for each image" in markup(section)
    assert "loading weights" in markup(section)
    assert "all weights stay" in markup(drawn(scheduled(resnet_like())))


def test_many_calls_share_lines_and_all_are_there():
    report = scheduled(vit_like())
    section = drawn(report)
    lanes = lanes_of(report.schedule.slots)
    assert len(lanes) <= MOST_LANES < len(report.schedule.slots)
    assert len(section.find(".//ol")) == len(lanes)
    assert len(slots(section)) == len(report.schedule.slots)
    assert "A line is a module" in markup(section)


def test_copies_and_the_share_of_macros_at_work_are_told():
    text = markup(drawn(scheduled(resnet_like((1, 1, 1, 1)))))
    assert "4 copies" in text
    assert "macros at work, highest 10.0 %" in text
    assert 'class="curve"' in text


def test_the_head_says_latency_and_rate():
    report = scheduled(resnet_like())
    figures = {card.findtext("dt"): card.findtext("dd") for card in drawn(report).find("dl")}
    assert figures["Latency"].endswith("ms")
    assert float(figures["Images per second"].split()[0]) == pytest.approx(3 / report.schedule.latency_s, rel=0.01)
    assert figures["Buffer"] == "803 kB"


def test_an_unknown_time_is_a_reason_and_no_chart():
    report = scheduled(resnet_like((1, 1, 1, 1)))
    first = replace(report.schedule.slots[0], start_s=None, end_s=None)
    schedule = replace(report.schedule, slots=(first, *report.schedule.slots[1:]), latency_s=None)
    row = replace(report.rows[1], latency_s=None, cost_models={"latency": "unknown: needs `cost.read_ns`"})
    section = drawn(replace(report, schedule=schedule, rows=(report.rows[0], row, *report.rows[2:])))
    text = markup(section)
    assert "There is no chart: a latency is unknown (needs `cost.read_ns`)." in text
    assert "<svg" not in text
    assert section.find("dl").findtext("div/dd") == "unknown"


def test_a_model_without_analog_sites_has_no_schedule():
    report = resnet_like((1, 1, 1, 1))
    assert schedule_section(replace(report, schedule=Schedule()), {}) == []
    noted = schedule_section(replace(report, schedule=Schedule(notes=("nothing is analog",))), {})
    assert "nothing is analog" in markup(*noted)
