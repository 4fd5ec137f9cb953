"""asim-convert with a pattern: one row a model, whatever becomes of it."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from asim_fx.cli.work import bulk
from asim_fx.cli.work.bulk import BulkRow, plan_rows
from asim_fx.cli.work.planning import ConversionOptions, ModelOptions
from asim_fx.processes import Outcome
from tests.cli.command import Finished, run


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stand in for the processes that plan: every model works but test_vit3. Holds the names that were planned."""
    names: list[str] = []

    def stand_in(function, wanted, **_):
        for name in wanted:
            names.append(name)
            if name == "test_vit3":
                yield Outcome(name, 1.25, error="CaptureError: it cannot be captured, [not] at all")
            else:
                yield Outcome(name, 2.0, BulkRow(name, "generic-255x8b", 3, 1000, 250, 0.25, 77, 2.0))

    monkeypatch.setattr(bulk, "run_isolated", stand_in)
    return names


def convert(capsys: pytest.CaptureFixture[str], *options: object) -> Finished:
    return run(capsys, "asim-convert", "test_vit[23]", "generic-255x8b", *options)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open() as stream:
        return list(csv.DictReader(stream))


def test_for_real(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Both in processes of their own; there is no second model."""
    path = tmp_path / "r.csv"
    rows = list(
        plan_rows(
            ["test_vit", "no_such_model"],
            "generic-255x8b",
            ModelOptions(),
            ConversionOptions(),
            "generic-255x8b",
            2,
            path,
        )
    )
    by_name = {row.name: row for row in rows}
    assert by_name["test_vit"].macs == 37_635_328
    assert by_name["test_vit"].analog_share == pytest.approx(by_name["test_vit"].macs_analog / 37_635_328)
    assert "unknown model" in by_name["no_such_model"].error
    assert {row["name"] for row in rows_of(path)} == set(by_name)


def test_one_failure_does_not_stop_the_rest(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, planned: list[str]
) -> None:
    path = tmp_path / "r.csv"
    result = convert(capsys, "--dry-run", "--results-file", path)
    assert result.code == 4
    assert "1 of 2 models could not be planned" in result.err
    assert "it cannot be captured, [not] at all" in " ".join(result.out.split())
    assert "1 of 2 models planned on generic-255x8b" in result.out
    good, bad = rows_of(path)
    assert good == {
        "name": "test_vit2",
        "spec": "generic-255x8b",
        "sites": "3",
        "macs": "1000",
        "macs_analog": "250",
        "analog_share": "0.25",
        "reads": "77",
        "seconds": "2.0",
        "error": "",
    }
    assert (bad["name"], bad["macs"], bad["seconds"]) == ("test_vit3", "", "1.25")
    assert bad["error"].startswith("CaptureError")


def test_a_run_goes_on_where_it_stopped(capsys: pytest.CaptureFixture[str], tmp_path: Path, planned: list[str]) -> None:
    path = tmp_path / "r.csv"
    convert(capsys, "--dry-run", "--results-file", path)
    path.write_text(path.read_text() + "test_vit4,generic-2")  # cut off
    planned.clear()
    result = convert(capsys, "--dry-run", "--results-file", path)
    assert planned == ["test_vit3"]
    assert result.code == 4
    assert [row["name"] for row in rows_of(path)] == ["test_vit2", "test_vit3"]


def test_without_a_file_every_row_is_printed(capsys: pytest.CaptureFixture[str], planned: list[str]) -> None:
    result = run(capsys, "asim-convert", "test_vit2*", "generic-255x8b", "--dry-run")
    assert result.code == 0
    assert "test_vit2" in result.out
    assert "25.0 %" in result.out
    assert "error" not in result.out


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n", "something else"),
        (f"{','.join(bulk.COLUMNS)}\ntest_vit2,other-chip,3,1000,250,0.25,77,2.0,\n", "other-chip"),
    ],
)
def test_the_file_of_something_else_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, planned: list[str], text: str, words: str
) -> None:
    path = tmp_path / "r.csv"
    path.write_text(text)
    result = convert(capsys, "--dry-run", "--results-file", path)
    assert result.code == 2
    assert words in result.err
    assert path.read_text() == text
    assert planned == []


@pytest.mark.parametrize(
    "options", [(), ("--dry-run", "--report", "json"), ("--dry-run", "--checkpoint", "w.safetensors")]
)
def test_several_models_are_only_planned(capsys: pytest.CaptureFixture[str], options: tuple[str, ...]) -> None:
    result = convert(capsys, *options)
    assert result.code == 2
    assert "several models can only be planned" in result.err


def test_a_results_file_of_one_model_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    result = run(capsys, "asim-convert", "test_vit", "ideal", "--dry-run", "--results-file", "r.csv")
    assert result.code == 2
    assert "pattern" in result.err


def test_a_pattern_that_matches_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    result = run(capsys, "asim-convert", "no_such_*", "ideal", "--dry-run")
    assert result.code == 2
    assert "no model matches" in result.err
