from __future__ import annotations

import math
from dataclasses import replace

import pytest

from asim_fx.report.elements import markup
from asim_fx.report.fragments import anchors
from asim_fx.report.html import to_html
from asim_fx.report.views.fidelity import MOST_LANES, fidelity_section
from tests.report.synthetic import probed, resnet_like, vit_like


def points(section):
    """Return what each point's title says -> (class, place in %)."""
    circles = list(section.iter("circle"))
    return {circle.findtext("title"): (circle.get("class"), float(circle.get("cx").rstrip("%"))) for circle in circles}


@pytest.fixture(scope="module")
def report():
    return resnet_like((1, 1, 1, 1))


def test_points_stand_where_their_ratio_is(report):
    fidelity = probed(report)
    (section,) = fidelity_section(fidelity, anchors(report))
    found = points(section)
    assert len(found) == 4 * len(fidelity.sites)
    at = {told: place for told, (kind, place) in found.items() if kind == "snr-csnr"}
    values = {site.site: site.csnr_db for site in fidelity.sites if site.csnr_db != math.inf}
    for told, place in at.items():
        value = values[told.split(",")[0]]
        assert place == pytest.approx(1 + 98 * value / 40.0, abs=0.01)


def test_without_noise_is_a_ring_at_the_end_and_without_signal_no_point(report):
    fidelity = probed(report)
    (section,) = fidelity_section(fidelity, {})
    told = "conv1, CSNR: hardware against ideal integers: exact"
    assert points(section)[told] == ("snr-csnr exact", 99.0)
    silent = replace(fidelity.sites[1], snr_db=None)
    (section,) = fidelity_section(replace(fidelity, sites=(fidelity.sites[0], silent)), {})
    assert len(points(section)) == 7
    assert "no signal" in markup(section)


def test_the_worst_site_is_named(report):
    fidelity = probed(report)
    (section,) = fidelity_section(fidelity, anchors(report))
    assert f"{fidelity.worst.site} is furthest from float by its own errors" in markup(section)
    (name,) = [item for item in section.iter("li") if item.get("class") == "worst"]
    assert name[0].text == fidelity.worst.site
    assert name[0].get("href") == f"#{anchors(report)[fidelity.worst.site]}"


def test_many_sites_share_lines():
    report = vit_like()
    (section,) = fidelity_section(probed(report), anchors(report))
    assert len(section.find(".//ol")) <= MOST_LANES < len(report.rows)
    assert len(points(section)) == 4 * sum(row.target != "float" for row in report.rows)
    assert "A line is a module" in markup(section)


def test_the_page_has_it_only_where_it_was_measured(report):
    assert "Fidelity of the sites" not in to_html(report)
    assert "Fidelity of the sites" in to_html(report, probed(report))
    assert fidelity_section(replace(probed(report), sites=()), {}) == []
