from __future__ import annotations

import json
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asim_fx.errors import ArtifactError
from asim_fx.report.rows import Dataflow, DataflowNode, MappingReport, ReportRow, UnmappedRow
from asim_fx.report.serial import from_json, to_json
from tests.report.synthetic import resnet_like, vit_like

numbers = st.floats(allow_nan=False, allow_infinity=False)
values = st.one_of(st.none(), st.booleans(), st.integers(), st.text(), numbers)
plans = st.integers(1, 4).flatmap(
    lambda wide: st.lists(st.lists(st.integers(0, 9), min_size=wide, max_size=wide).map(tuple), min_size=1).map(tuple)
)
rows = st.builds(
    ReportRow,
    utilisation=st.none() | numbers,
    adc_bits=st.sampled_from((None, "ideal", 8)),
    reads_per_cell=st.none() | plans,
    settings=st.dictionaries(st.text(), values),
)
flows = st.builds(Dataflow, nodes=st.lists(st.builds(DataflowNode), max_size=3).map(tuple))
reports = st.builds(
    MappingReport,
    rows=st.lists(rows, max_size=3).map(tuple),
    totals=st.dictionaries(st.text(), values),
    unmapped=st.lists(st.builds(UnmappedRow, share=numbers), max_size=3).map(tuple),
    dataflow=flows,
)


@given(reports)
def test_a_report_comes_back_as_it_was(report):
    assert from_json(to_json(report)) == report


@pytest.mark.parametrize("report", [resnet_like(), vit_like()], ids=["resnet", "vit"])
def test_a_realistic_report_comes_back_as_it_was(report):
    back = from_json(to_json(report))
    assert back == report
    assert isinstance(back.rows[3].reads_per_cell[0], tuple)


def test_the_shape_of_the_json_is_the_contract():
    data = json.loads(to_json(resnet_like()))
    assert list(data)[:3] == ["totals", "sites", "unmapped"]
    assert {"model", "spec", "notes", "verification", "versions"} <= set(data)
    assert set(data["sites"][0]) == {field.name for field in fields(ReportRow)}
    assert data["sites"][0]["input_shape"] == [None, 3, 224, 224]
    assert data["sites"][0]["adc_bits"] is None


def _without(key):
    data = json.loads(to_json(vit_like(depth=1)))
    del data[key]
    return json.dumps(data)


def _with_site(**changes):
    data = json.loads(to_json(vit_like(depth=1)))
    data["sites"][0] |= changes
    return json.dumps(data)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        b"\xff\xfe\x00",
        _without("sites"),
        _without("totals"),
        _with_site(macs="many"),
        _with_site(reads_per_cell=[["x"]]),
        _without("notes")[:-1] + ', "extra": 1}',
    ],
)
def test_what_is_no_report_is_refused(text):
    with pytest.raises(ArtifactError, match="not a mapping report"):
        from_json(text)
