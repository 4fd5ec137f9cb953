from __future__ import annotations

from asim_fx.report.elements import markup
from asim_fx.report.html import to_html
from asim_fx.report.views.bit_plans import bit_plans_section, plan_numbers
from tests.report.synthetic import resnet_like, vit_like


def test_each_distinct_plan_is_drawn_once_and_used_at_its_sites():
    report = resnet_like()
    page = to_html(report)
    numbers = plan_numbers(report)
    analog = sum(row.target == "analog" for row in report.rows)
    assert len(numbers) == 2
    assert page.count("<symbol") == 2
    assert page.count('class="glyph"') == analog
    assert page.count('href="#plan-') == analog + 2  # and the large ones
    assert list(numbers.values()) == [0, 1]
    assert next(iter(numbers)) == next(row.reads_per_cell for row in report.rows if row.name == "layer1.0.conv1")


def test_a_cell_says_which_planes_it_is_and_what_becomes_of_it():
    report = resnet_like()
    (section,) = bit_plans_section(report, plan_numbers(report))
    voted = section.find(".//symbol[@id='plan-1']")
    told = [(rect.get("class"), rect.findtext("title")) for rect in voted.iter("rect")]
    assert told[0] == ("digital", "stored plane 7, streamed plane 7: digital")
    assert told[-1] == ("analog", "stored plane 0, streamed plane 0: analog, read once")
    plan = next(plan for plan, number in plan_numbers(report).items() if number == 1)
    reads = [n for line in plan for n in line]
    assert [kind for kind, _ in told].count("voted") == sum(n > 1 for n in reads)
    assert [text.text for text in voted.iter("text")] == ["3"] * sum(n > 1 for n in reads)
    assert "stored plane 7, streamed plane 5: voted, 3 reads" in [text for _, text in told]


def test_a_plan_names_its_sites():
    report = vit_like(depth=1)
    (section,) = bit_plans_section(report, plan_numbers(report))
    text = markup(section)
    analog = [row for row in report.rows if row.target == "analog"]
    assert sum(f"{row.name}," in text or f"{row.name}<" in text for row in analog) == len(analog)


def test_without_analog_sites_there_is_no_section():
    report = resnet_like((1, 1, 1, 1))
    rows = tuple(row for row in report.rows if row.target != "analog")
    assert plan_numbers(type(report)(model="m", spec="s", rows=rows, totals={})) == {}
    assert bit_plans_section(report, {}) == []
