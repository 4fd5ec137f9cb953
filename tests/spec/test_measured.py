"""Measured files: read with the spec, checked line by line, and kept with an artifact."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import asim_fx
from asim_fx.errors import SpecError
from asim_fx.spec.measured import MeasuredFile, parse_codes, parse_statistics

SPEC = """\
version: 1
name: measured
macros:
  m: {rows: 7, columns: 16, adc: {bits: 3ADC}, bitline: {BITLINE}}
defaults: {weight_bits: 3, input_bits: 3}
"""
STATISTICS = "mac,mean,sigma\n" + "".join(f"{mac},{mac * 0.9},0.1\n" for mac in range(8))
CODES = "code,threshold_lsb\n" + "".join(f"{code},{code - 0.4}\n" for code in range(1, 8))


def write(folder: Path, adc: str = "", bitline: str = "statistics: s.csv") -> Path:
    path = folder / "chip.yaml"
    path.write_text(SPEC.replace("ADC", adc).replace("BITLINE", bitline))
    return path


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "the first line must be `mac,mean,sigma`"),
        ("mac,sigma,mean\n0,0,0\n", 1, "not `mac,sigma,mean`"),
        (STATISTICS.replace("3,", "4,", 1), 5, "mac must be 3, not 4"),
        (STATISTICS.replace("\n2,1.8,0.1", ""), 4, "no value may be left out"),
        (STATISTICS.replace("2,1.8,0.1", "2,nan,0.1"), 4, "mean is no finite number"),
        (STATISTICS.replace("2,1.8,0.1", "2,1.8,-0.1"), 4, "sigma is negative: -0.1"),
        (STATISTICS.replace("2,1.8,0.1", "2,1.8"), 4, "there must be 3 values"),
        (STATISTICS.replace("2,1.8,0.1", "2,x,0.1"), 4, "these are no numbers"),
        ("mac,mean,sigma\n0,0,0\n", 2, "too early"),
    ],
)
def test_statistics_that_cannot_be(text: str, line: int, words: str) -> None:
    issues = parse_statistics(text, "s.csv", "field")
    assert isinstance(issues, list)
    assert issues[0].where == f"s.csv:{line}"
    assert words in issues[0].message


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (CODES.replace("3,2.6", "3,1.5"), 4, "levels must not fall: 1.5 comes after 1.6"),
        (CODES.replace("3,2.6", "3,inf"), 4, "threshold_lsb is no finite number"),
        (CODES.replace("1,0.6\n", ""), 2, "code must be 1, not 2"),
    ],
)
def test_codes_that_cannot_be(text: str, line: int, words: str) -> None:
    issues = parse_codes(text, "c.csv", "field")
    assert isinstance(issues, list)
    assert issues[0].where == f"c.csv:{line}"
    assert words in issues[0].message


@given(st.text(max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    for start in ("", "mac,mean,sigma\n"):
        found = parse_statistics(start + text, "s.csv", "field")
        assert isinstance(found, MeasuredFile) or found


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(0, 1e6)), min_size=2, max_size=30))
def test_whatever_was_written_is_read(values: list[tuple[float, float]]) -> None:
    text = "mac,mean,sigma\r\n" + "".join(f"{i}, {m!r}, {s!r}\r\n" for i, (m, s) in enumerate(values))
    found = parse_statistics("\ufeff" + text, "s.csv", "field")
    assert isinstance(found, MeasuredFile)
    assert found.columns == tuple(zip(*values, strict=True))


@pytest.mark.parametrize(
    ("statistics", "adc", "words"),
    [
        (None, "", "s.csv cannot be read: No such file"),
        (STATISTICS + "8,7.2,0.1\n", "", "s.csv:10: macros.m.bitline.statistics: the last MAC value is 8"),
        (STATISTICS, ", code_table: s.csv", "the first line must be `code,threshold_lsb`"),
    ],
)
def test_a_spec_with_a_bad_file_is_refused(tmp_path: Path, statistics: str | None, adc: str, words: str) -> None:
    path = write(tmp_path, adc)
    if statistics is not None:
        (tmp_path / "s.csv").write_text(statistics)
    with pytest.raises(SpecError, match=re.escape(words)):
        asim_fx.load_spec(path)


def test_a_code_table_of_another_converter_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, ", code_table: c.csv", "gain: 1.0")
    (tmp_path / "c.csv").write_text(CODES)
    assert asim_fx.load_spec(path).files["c.csv"].columns[0][0] == 0.6
    with pytest.raises(SpecError, match="7 codes; a converter of 4 bits needs 15"):
        asim_fx.load_spec(path, ["macros.m.adc.bits=4"])


def test_a_table_for_other_input_planes_is_refused_with_the_site(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text(STATISTICS)
    spec = asim_fx.load_spec(write(tmp_path), ["defaults.input_encoding=2", "defaults.signed=false"])
    with pytest.raises(SpecError, match=r"site 0 needs 0 to 21: 7 rows and input planes of up to 2 bits"):
        asim_fx.convert(nn.Sequential(nn.Linear(10, 3)), spec, torch.rand(2, 10))


def test_an_artifact_holds_the_measurements(tmp_path: Path) -> None:
    folder = tmp_path / "chips"
    folder.mkdir()
    (folder / "s.csv").write_text(STATISTICS)
    (folder / "c.csv").write_text(CODES)
    model, x = nn.Sequential(nn.Linear(10, 3)), torch.rand(2, 10)
    converted = asim_fx.convert(model, write(folder, ", code_table: c.csv"), x)
    read = next(iter(converted.sites().values())).config.read
    assert read.sigma_mac == (0.1,) * 8
    assert read.thresholds_lsb == tuple(round(code - 0.4, 9) for code in range(1, 8))
    converted.save(tmp_path / "artifact")
    expected = converted(x)
    for file in folder.iterdir():
        file.unlink()
    loaded = asim_fx.load(tmp_path / "artifact", model)
    assert torch.equal(loaded(x), expected)
    next((tmp_path / "artifact").glob("measured-0.csv")).write_text(STATISTICS.replace("0.1", "0.2"))
    with pytest.raises(asim_fx.errors.ArtifactError, match="was changed"):
        asim_fx.load(tmp_path / "artifact", model)
