"""asim-convert: what it prints, in every form, and what it writes."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command import run

MODEL, SPEC = "asim:digits_resnet", "generic-255x8b"
GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")


def without_versions(text: str) -> str:
    """Return a report without the line that depends on what is installed."""
    return re.sub(r"engine: cpu \(numba [^)]*\)\s+· asim-fx .*", "(engine and versions)", text).rstrip("\n")


@pytest.mark.parametrize("model", ["digits_resnet", "digits_vit"])
def test_the_table(capsys, model: str) -> None:
    """Refresh with ASIM_REFRESH_GOLDEN=1."""
    result = run(capsys, "asim-convert", f"asim:{model}", "generic-256x7b-hybrid", "--dry-run")
    assert result.code == 0, result.err
    assert result.err == ""
    golden = GOLDEN / f"{model}.txt"
    printed = without_versions(result.out)
    if os.environ.get("ASIM_REFRESH_GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(printed + "\n", encoding="utf-8")
    assert printed == golden.read_text(encoding="utf-8").rstrip("\n")


def test_json_is_all_that_stdout_holds(capsys) -> None:
    result = run(capsys, "asim-convert", MODEL, SPEC, "--report", "json")
    report = json.loads(result.out)
    assert {"totals", "sites", "unmapped"} <= set(report)
    assert report["totals"]["macs"] == sum(site["macs"] for site in report["sites"])
    assert report["totals"]["sites"] == len(report["sites"]) == 10
    assert [row["name"] for row in report["unmapped"]] == ["conv1"]
    stem = report["sites"][0]
    assert (stem["name"], stem["target"]) == ("conv1", "integer")
    assert "rules[0]" in stem["decided_by"]


def test_csv_has_a_line_for_each_site(capsys) -> None:
    result = run(capsys, "asim-convert", MODEL, SPEC, "--dry-run", "--report", "csv")
    rows = list(csv.DictReader(io.StringIO(result.out)))
    assert len(rows) == 10
    assert rows[1]["name"] == "layers.0.conv1"
    assert rows[1]["reads"] == "262144"  # 64 pixels x 32 outputs x 2 row tiles x 64 cells


def test_markdown_and_html(capsys) -> None:
    markdown = run(capsys, "asim-convert", MODEL, SPEC, "--dry-run", "--report", "md").out
    assert markdown.startswith("#")
    assert "| layers.0.conv1 |" in markdown.replace("`", "")
    page = run(capsys, "asim-convert", MODEL, SPEC, "--dry-run", "--report", "html").out
    assert page.lower().startswith("<!doctype html>")
    assert "layers.0.conv1" in page


def test_set_changes_the_spec_and_the_report_says_so(capsys) -> None:
    changed = ("--set", "macros.m.adc.bits=6", "--set", "defaults.hybrid.levels=2")
    result = run(capsys, "asim-convert", MODEL, SPEC, "--dry-run", "--report", "json", *changed)
    site = json.loads(result.out)["sites"][1]
    assert site["adc_bits"] == 6
    assert site["cells_digital"] == 3
    assert "--set" in site["provenance"]["hybrid.levels"]


def test_output_holds_an_artifact_and_stderr_says_where(capsys, tmp_path: Path) -> None:
    result = run(capsys, "asim-convert", MODEL, SPEC, "-o", tmp_path / "out", "--verify")
    assert result.code == 0, result.err
    assert f"wrote {tmp_path / 'out'}" in result.err.replace("\n", "")
    assert (tmp_path / "out" / "manifest.json").is_file()


def test_nothing_is_written_without_output(capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(capsys, "asim-convert", MODEL, SPEC).code == 0
    assert not list(tmp_path.iterdir())


def test_model_options(capsys) -> None:
    small = ("--num-classes", 7, "--input-size", 3, 64, 64, "--model-kwargs", "drop_rate=0.1")
    result = run(capsys, "asim-convert", "resnet18", SPEC, "--dry-run", "--report", "json", *small)
    sites = json.loads(result.out)["sites"]
    assert sites[-1]["output_shape"] == [None, 7]
    assert sites[0]["input_shape"] == [None, 3, 64, 64]


def test_batch_norms_stay_where_folding_is_off(capsys) -> None:
    folded = run(capsys, "asim-convert", MODEL, SPEC, "--report", "json").out
    kept = run(capsys, "asim-convert", MODEL, SPEC, "--report", "json", "--no-fold-batch-norm").out
    assert json.loads(folded)["totals"] == json.loads(kept)["totals"]


def test_static_scales_are_calibrated_or_refused(capsys, tmp_path: Path) -> None:
    static = ("--set", "defaults.scale=static", "-o", tmp_path / "out")
    refused = run(capsys, "asim-convert", MODEL, SPEC, *static)
    assert refused.code == 2
    assert "--calibrate" in refused.err
    assert not (tmp_path / "out").exists()
    done = run(capsys, "asim-convert", MODEL, SPEC, *static, "--calibrate", "digits", "--calib-samples", 32)
    assert done.code == 0, done.err
    needless = run(capsys, "asim-convert", MODEL, SPEC, "--calibrate", "digits")
    assert needless.code == 2


@pytest.mark.parametrize("command", ["asim", "asim-convert", "asim-simulate", "asim-spec"])
def test_help_needs_no_torch(command: str) -> None:
    """Torch takes seconds to import; whatever does without it answers in tenths of a second."""
    entry = {"asim": "run", "asim-convert": "run_convert", "asim-simulate": "run_simulate", "asim-spec": "run_spec"}
    code = (
        f"import sys; sys.argv = [{command!r}, '--help']\n"
        f"from asim_fx.cli.main import {entry[command]} as run\n"
        "try: run()\n"
        "except SystemExit: pass\n"
        "sys.exit('torch' in sys.modules)"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert "--help" in finished.stdout


def test_completion_is_offered(capsys) -> None:
    assert "--install-completion" in run(capsys, "asim-convert", "--help").out


def test_the_umbrella_is_the_same_commands(capsys) -> None:
    one = run(capsys, "asim", "convert", MODEL, SPEC, "--dry-run", "--report", "csv").out
    assert one == run(capsys, "asim-convert", MODEL, SPEC, "--dry-run", "--report", "csv").out


def test_an_internal_error_says_that_it_is_one(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    from asim_fx.cli.work import planning

    def broken(*_: object) -> None:
        message = "something impossible"
        raise ZeroDivisionError(message)

    monkeypatch.setattr(planning, "plan_model", broken)
    result = run(capsys, "asim-convert", MODEL, SPEC, "--dry-run")
    assert result.code == 1
    assert "internal error: ZeroDivisionError: something impossible" in result.err
    assert "Traceback" not in result.err


def test_a_pipe_gets_whole_names(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS")
    printed = run(capsys, "asim-convert", MODEL, "ideal", "--dry-run").out
    assert "Left out" not in printed
    assert "decided by" in printed


def test_without_values_an_image_may_be_of_any_size(capsys) -> None:
    size = ("--input-size", 3, 1_000_000, 1_000_000, "--device", "meta", "--report", "json")
    result = run(capsys, "asim-convert", "test_resnet", "ideal", "--dry-run", *size)
    assert result.code == 0, result.err
    assert json.loads(result.out)["sites"][0]["input_shape"] == [None, 3, 1_000_000, 1_000_000]


def test_an_image_that_no_memory_holds_is_refused(capsys) -> None:
    size = ("--input-size", 3, 1_000_000, 1_000_000, "--device", "cpu")
    result = run(capsys, "asim-convert", "test_resnet", "ideal", "--dry-run", *size)
    assert result.code == 2
    assert "not enough memory for an input of 2x3x1000000x1000000" in result.err


@pytest.mark.parametrize("size", [(-1, 8, 8), (3, 0, 8)])
def test_sizes_below_one_are_refused(capsys, size: tuple[int, ...]) -> None:
    result = run(capsys, "asim-convert", "test_resnet", "ideal", "--dry-run", "--input-size", *size)
    assert result.code == 2
    assert "at least 1, not" in result.err
