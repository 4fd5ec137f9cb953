"""The record of a calibration survives JSON, and the report shows it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asim_fx.errors import ArtifactError
from asim_fx.report.calibrated import (
    ScaleChoice,
    SiteCalibration,
    WindowChoice,
    from_json,
    to_json,
    with_calibration,
)
from tests.report.synthetic import resnet_like

numbers = st.floats(0, 1e9)
scales = st.builds(
    ScaleChoice,
    method=st.sampled_from(["max", "kl"]),
    percentile=st.none() | numbers,
    scale=numbers,
    clipped=numbers,
    values=st.integers(0),
)
ratios = st.none() | st.just(math.inf) | st.floats(-99, 99)
windows = st.builds(
    WindowChoice,
    method=st.just("csnr"),
    percentile=st.none(),
    low_mac=numbers,
    high_mac=numbers,
    clipped=numbers,
    csnr_db=ratios,
    full_range_csnr_db=ratios,
    values=st.integers(0),
)
sites = st.builds(SiteCalibration, st.none() | scales, st.none() | scales, st.none() | windows)


@given(st.dictionaries(st.text(max_size=5), sites, max_size=3))
def test_json_and_back(found: dict[str, SiteCalibration]) -> None:
    assert from_json(to_json(found)) == found


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"sites": 3}', '{"sites": {"a": {"window": null, "input": 3}}}'])
def test_something_else_is_refused(text: str) -> None:
    with pytest.raises(ArtifactError, match="not a record"):
        from_json(text)


def test_the_report_shows_the_sites_that_were_calibrated() -> None:
    report = resnet_like()
    name = report.rows[1].name
    choice = ScaleChoice("mse", None, 2.5, 0.01, 100)
    rows = {row.name: row for row in with_calibration(report, {name: SiteCalibration(input=choice)}).rows}
    assert (rows[name].static_scale, rows[name].clipped, rows[name].stored_scale) == (2.5, 0.01, None)
    assert all(row.clipped is None for row in rows.values() if row.name != name)
