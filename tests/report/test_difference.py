from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from asim_fx.report.difference import compare
from asim_fx.report.difference_files import renderable, to_csv, to_json, to_markdown
from asim_fx.report.difference_words import total_lines
from asim_fx.report.saved import SavedReport
from asim_fx.spec.document import complete_document
from asim_fx.spec.loader import load_spec
from tests.report.golden import check
from tests.report.synthetic import SPEC, resnet_like, scheduled, vit_like

DEPTHS = (1, 1, 1, 1)


def saved(report, name, spec=None):
    return SavedReport(name, report, spec)


@pytest.fixture(scope="module")
def both():
    """A small ResNet, and the same with other bits at one site, one site in digital logic, and one renamed."""
    before = resnet_like(DEPTHS)
    rows = {row.name: row for row in before.rows}
    rows["layer1.0.conv1"] = replace(
        rows["layer1.0.conv1"],
        weight_bits=4,
        reads=rows["layer1.0.conv1"].reads // 2,
        energy_j=1.5 * rows["layer1.0.conv1"].energy_j,
        settings={**rows["layer1.0.conv1"].settings, "weight_bits": 4},
    )
    rows["layer2.0.conv2"] = replace(
        rows["layer2.0.conv2"], target="integer", reason="it costs accuracy", macro=None, reads_per_cell=None, reads=0
    )
    rows["fc"] = replace(rows["fc"], name="head")
    after = replace(before, rows=tuple(rows.values()), totals={**before.totals, "reads": before.totals["reads"] // 2})
    first = complete_document(SPEC)
    rule = {"match": {"op": "qk"}, "target": "float", "why": "attention is small"}
    second = {**first, "name": "other", "defaults": {**first["defaults"], "weight_bits": 4}, "rules": [rule]}
    return saved(before, "a", first), saved(after, "b", second)


def test_equal_mappings_do_not_differ():
    for report in (resnet_like(DEPTHS), vit_like(depth=1)):
        difference = compare(saved(report, "a"), saved(report, "b"))
        assert not difference
        assert difference.same_sites == len(report.rows)
        assert "They do not differ." in to_markdown(difference)


def test_what_differs_is_found_and_nothing_else(both):
    difference = compare(*both)
    assert [change.field for change in difference.spec] == ["name", "defaults.weight_bits", "rules[op qk]"]
    assert [site.name for site in difference.sites] == ["layer1.0.conv1", "layer2.0.conv2"]
    bits, target = difference.sites
    assert [(change.field, change.a, change.b) for change in bits.decisions] == [("weight_bits", 8, 4)]
    figures = {change.field: change.change for change in bits.figures}
    assert figures == {"reads": -0.5, "energy_j": pytest.approx(0.5)}
    assert [change.field for change in target.decisions] == ["target", "reason", "macro", "reads_per_cell"]
    assert (difference.only_a, difference.only_b) == (("fc",), ("head",))
    assert [change.field for change in difference.changed_totals] == ["reads"]


def test_the_other_way_round_is_the_mirror_image(both):
    forward, back = compare(*both), compare(*both[::-1])
    assert [(c.a, c.b) for c in forward.spec] == [(c.b, c.a) for c in sorted(back.spec, key=forward_order(forward))]
    assert (forward.only_a, forward.only_b) == (back.only_b, back.only_a)
    assert [site.name for site in forward.sites] == [site.name for site in back.sites]


def forward_order(difference):
    order = [change.field for change in difference.spec]
    return lambda change: order.index(change.field)


def test_without_specs_the_settings_of_the_sites_are_compared(both):
    difference = compare(saved(both[0].report, "a.json"), both[1])
    assert not difference.spec_known
    assert [(c.field, c.a, c.b, c.sites) for c in difference.spec] == [("weight_bits", 8, 4, 1)]
    assert "a report holds none" in to_markdown(difference)


def test_a_further_rule_changes_no_other_one():
    spec = complete_document(load_spec("generic-256x7b-hybrid"))
    extra = {"match": {"name": "x"}, "target": "float"}
    more = {**spec, "rules": [extra, *spec["rules"]]}
    report = resnet_like(DEPTHS)
    (change,) = compare(saved(report, "a", spec), saved(report, "b", more)).spec
    assert (change.field, change.a, change.b) == ("rules[name x]", None, {"target": "float"})


def test_rules_that_match_alike_are_told_apart_by_their_place():
    spec = complete_document(load_spec("ideal"))
    rules = [{"match": {"op": "qk"}, "target": target} for target in ("float", "integer", "analog")]
    report = resnet_like(DEPTHS)
    one, two = ({**spec, "rules": chosen} for chosen in (rules[:2], [rules[0], rules[2]]))
    (change,) = compare(saved(report, "a", one), saved(report, "b", two)).spec
    assert (change.field, change.a, change.b) == ("rules[op qk]'.target", "integer", "analog")


def test_as_it_was_looked_at(both):
    difference = compare(*both)
    check("difference.md", to_markdown(difference))
    check("difference.csv", to_csv(difference))
    console = Console(width=100, record=True, file=io.StringIO(), color_system=None)
    console.print(renderable(difference, 100))
    check("difference_100.txt", console.export_text())


def test_json_holds_all_of_it(both):
    difference = compare(*both)
    data = json.loads(to_json(difference))
    assert data["differ"] is True
    assert [site["name"] for site in data["sites"]] == [site.name for site in difference.sites]
    totals = {total["field"]: total for total in data["totals"]}
    assert totals.keys() == both[0].report.totals.keys()
    assert totals["reads"]["relative_change"] == pytest.approx(-0.5, abs=1e-6)
    assert data["spec"][1] == {"field": "defaults.weight_bits", "a": 8, "b": 4, "relative_change": -0.5}


def test_schedules_are_compared(both):
    a, b = both
    difference = compare(replace(a, report=scheduled(a.report)), replace(b, report=scheduled(b.report, rounds=3)))
    totals = {change.field: change for change in difference.totals}
    assert totals["reloads"].b == 192
    lines = {title: cells for title, *cells in total_lines(difference)}
    assert lines["macros reloaded an image"] == ["0", "192", ""]
    assert float(lines["images per second"][0].split()[0]) > 0


def test_csv_has_a_line_for_every_value_that_differs(both):
    difference = compare(*both)
    lines = list(csv.DictReader(io.StringIO(to_csv(difference))))
    of_sites = [line for line in lines if line["part"] == "site"]
    assert len(of_sites) == sum(len(site.decisions) + len(site.figures) for site in difference.sites)
    assert {line["site"] for line in lines if line["part"] == "only_b"} == {"head"}


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_no_line_is_wider_than_the_terminal(both, width):
    console = Console(width=width, record=True, file=io.StringIO(), color_system=None)
    console.print(renderable(compare(*both), width))
    assert max(map(len, console.export_text().splitlines())) <= width
