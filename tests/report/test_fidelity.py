"""The record of a probe survives JSON, infinite ratios and all."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asim_fx.errors import ArtifactError
from asim_fx.report.fidelity import RATIOS, FidelityReport, SiteFidelity, as_data, decibels, from_json, to_json

ratios = st.one_of(st.none(), st.just(math.inf), st.floats(-50, 200))
sites = st.builds(
    SiteFidelity,
    site=st.text(max_size=8),
    kind=st.just("conv"),
    target=st.just("analog"),
    values=st.integers(0, 10**9),
    **dict.fromkeys(RATIOS, ratios),
)
reports = st.builds(
    FidelityReport,
    model=st.just("m"),
    spec=st.just("s"),
    data=st.just("digits"),
    images=st.integers(1, 9),
    seeds=st.just((0, 1)),
    sites=st.lists(sites, max_size=3).map(tuple),
)


@given(reports)
def test_json_and_back(report: FidelityReport) -> None:
    assert from_json(to_json(report)) == report


def test_infinite_is_a_word_and_no_signal_is_null() -> None:
    site = SiteFidelity("a", "conv", "analog", 40.0, math.inf, 40.0, None, math.inf, 40.0, 7)
    data = json.loads(to_json(FidelityReport("m", "s", "d", 1, (0,), (site,))))
    assert data["sites"][0]["csnr_db"] == "inf"
    assert data["sites"][0]["cumulative_sqnr_db"] is None
    assert data["worst"] == "a"


@given(reports)
def test_the_worst_has_the_lowest_ratio_of_its_own(report: FidelityReport) -> None:
    finite = [site.snr_db for site in report.sites if site.snr_db is not None and site.snr_db < math.inf]
    worst = report.worst
    assert (None if worst is None else worst.snr_db) == min(finite, default=None)
    assert as_data(report)["worst"] == (None if worst is None else worst.site)


def test_decibels() -> None:
    assert decibels(100.0, 1.0) == pytest.approx(20)
    assert decibels(1.0, 0.0) == math.inf
    assert decibels(0.0, 1.0) is None
    assert decibels(1.0, math.inf) is None
    assert decibels(math.nan, 1.0) is None


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"sites": [3]}', '{"sites": [], "model": 3}'])
def test_something_else_is_refused(text: str) -> None:
    with pytest.raises(ArtifactError, match="not a report"):
        from_json(text)
