from __future__ import annotations

from dataclasses import replace

import pytest

from asim_fx.report.elements import element, markup
from asim_fx.report.fragments import anchors
from asim_fx.report.views.energy import energy_view
from tests.report.synthetic import resnet_like, vit_like


def drawn(report):
    return element("div", *energy_view(report, anchors(report)))


def bars(view):
    """Return name -> total width in % of each outermost bar."""
    (lines,) = (node for node in view.findall("ul") if node.get("class") == "bars")
    found = {}
    for line in lines:
        row = line[0] if line[0].get("class") == "bar-row" else line[0][0]
        widths = (float(rect.get("width").rstrip("%")) for rect in row.iter("rect"))
        found["".join(row[0].itertext())] = sum(widths)
    return found


def test_bars_are_as_long_as_their_energy():
    report = resnet_like((1, 1, 1, 1))
    lengths = bars(drawn(report))
    rows = {row.name: row.energy_j for row in report.rows if row.energy_parts_j}
    assert lengths.keys() == rows.keys()
    longest = max(rows.values())
    for name, length in lengths.items():
        assert length == pytest.approx(100 * rows[name] / longest, abs=0.05)


def test_many_sites_are_modules_that_open():
    report = vit_like()
    view = drawn(report)
    lengths = bars(view)
    assert "blocks.0.attn 4 sites" in lengths
    assert len(lengths) < 30 < len(report.rows)
    links = {link.get("href")[1:] for link in view.iter("a")}
    assert links == {f"site-{n}" for n, row in enumerate(report.rows) if row.energy_parts_j}


def test_the_figures_and_the_bands_are_told():
    report = resnet_like((1, 1, 1, 1))
    text = markup(drawn(report))
    assert "as if all erred the same way" in text
    assert "Reads of a voted cell after its first" in text
    assert "1 site off the chip is not in it" in text
    assert "; band " in text
    assert "The same as a table" in text


def test_unknown_energy_says_so_and_has_no_length():
    report = resnet_like((1, 1, 1, 1))
    first = report.rows[1]
    nothing = dict.fromkeys(first.energy_parts_j)
    models = dict.fromkeys(first.energy_parts_j, "unknown: needs `cost.node_nm`")
    row = replace(first, energy_parts_j=nothing, cost_models=models, energy_j=None, energy_low_j=None)
    view = drawn(replace(report, rows=(row, *report.rows[2:])))
    assert bars(view)[row.name] == 0
    assert "? unknown" in markup(view)
    assert "Unknown at 1 site: adc: needs `cost.node_nm`" in markup(view)
    alone = markup(drawn(replace(report, rows=(row,))))
    assert "The energy is unknown:" in alone
    assert "<svg" not in alone


def test_without_sites_on_the_chip_there_is_nothing():
    report = resnet_like((1, 1, 1, 1))
    assert energy_view(replace(report, rows=report.rows[-1:]), {}) == []
