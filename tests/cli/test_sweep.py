from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from tests.cli.command import run
from tests.cli.test_bad_input import is_refused

NET = ("asim:digits_vit", "generic-255x8b", "--data", "digits", "--num-samples", 4, "-b", 4)
GRID = ("--set", "macros.m.adc.bits=6:8:3", "--set", "defaults.input_encoding=1,2")


def test_a_killed_sweep_goes_on_to_the_same_result(capsys, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    result = run(capsys, "asim-sweep", *NET, *GRID, "-o", whole)
    assert result.code == 0, result.err
    command = [sys.executable, "-m", "asim_fx", "sweep", *map(str, (*NET, *GRID, "-o", killed, "--no-plots"))]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    journal = killed / "cells.jsonl"
    for _ in range(6000):
        if process.poll() is not None or (journal.exists() and journal.read_bytes().count(b"\n") >= 3):
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    lines = journal.read_bytes().splitlines(keepends=True)
    assert 3 <= len(lines) < 7
    journal.write_bytes(b"".join(lines)[:-9])  # killed in the middle of a line
    result = run(capsys, "asim-sweep", *NET, *GRID, "-o", killed, "--resume")
    assert result.code == 0, result.err
    for name in ("cells.jsonl", "cells.csv", "front-conversions.svg", "accuracy-macros-m-adc-bits.png"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name
    is_refused(run(capsys, "asim-sweep", *NET, *GRID, "-o", killed), 2, "already holds", "--resume")
    is_refused(run(capsys, "asim-sweep", *NET, *GRID, "-o", journal), 2, "is a file; -o takes the name of a folder")
    other = run(capsys, "asim-sweep", *NET, *GRID, "-o", killed, "--resume", "--seeds", "1")
    is_refused(other, 2, "another sweep: other --seeds - there: 0; here: 1")


CALIBRATED = ("--calibrate", "digits", "--calib-samples", 8)


def test_a_calibrated_cell_is_what_the_other_commands_give(capsys, tmp_path: Path) -> None:
    axes = ("--set", "defaults.scale=static", "--set", "macros.m.adc.range=rows,calibrated", "--set")
    swept = run(capsys, "asim-sweep", *NET, *axes, "macros.m.adc.bits=5", *CALIBRATED, "--json", "-o", tmp_path / "out")
    assert swept.code == 0, swept.err
    cells = json.loads(swept.out)["cells"]
    assert len(cells) == 2
    for number, cell in enumerate(cells):
        settings = [word for path, value in cell["settings"].items() for word in ("--set", f"{path}={value}")]
        made = run(capsys, "asim-convert", *NET[:2], *settings, *CALIBRATED, "-o", tmp_path / f"{number}")
        assert made.code == 0, made.err
        alone = run(capsys, "asim-simulate", tmp_path / f"{number}", *NET[2:], "-j", 0, "--json")
        integer, hardware = json.loads(alone.out)["variants"]
        assert hardware["top1"]["mean"] == cell["top1"]
        assert integer["top1"]["mean"] == cell["integer_top1"]
    resumed = ("-o", tmp_path / "out", "--resume", "--calibrate", "digits", "--calib-samples", 9)
    other = run(capsys, "asim-sweep", *NET, *axes, "macros.m.adc.bits=5", *resumed)
    is_refused(
        other, 2, "other images to calibrate on", "there: digits, train, 8 images; here: digits, train, 9 images"
    )


@pytest.mark.slow
def test_processes_calibrate_alike(capsys, tmp_path: Path) -> None:
    axes = ("--set", "macros.m.adc.range=calibrated", "--set", "macros.m.adc.bits=4,5,6")
    for folder, jobs in (("one", 1), ("two", 2)):
        words = (*NET, *axes, *CALIBRATED, "--jobs", jobs, "--no-plots", "-o", tmp_path / folder)
        assert run(capsys, "asim-sweep", *words).code == 0
    one, two = (sorted((tmp_path / folder / "cells.jsonl").read_text().splitlines()) for folder in ("one", "two"))
    assert one == two


def test_cells_that_cannot_be_run_are_counted(capsys, tmp_path: Path) -> None:
    rules = "rules=[],[{match: {name: no_such}, weight_bits: 4}]"
    result = run(capsys, "asim-sweep", *NET, "--set", rules, "--json", "-o", tmp_path, "--no-plots")
    assert result.code == 4
    assert "1 of 2 cells cannot be run" in result.err
    assert "no_such" in result.err
    data = json.loads(result.out)
    assert data["failed"] == 1
    assert [bool(cell["error"]) for cell in data["cells"]] == [False, True]
    assert len((tmp_path / "cells.csv").read_text().splitlines()) >= 3


def test_values_that_are_impossible_together_are_cells_that_cannot_be_run(capsys) -> None:
    axes = ("--set", "defaults.input_encoding=16,1", "--set", "defaults.input_bits=8,16")
    result = run(capsys, "asim-sweep", *NET, *axes, "--json")
    assert result.code == 4, result.err
    assert [bool(cell["error"]) for cell in json.loads(result.out)["cells"]] == [True, False, False, False]


def test_cells_of_another_grid_are_said(capsys, tmp_path: Path) -> None:
    sweep = ("asim-sweep", *NET, "-o", tmp_path, "--no-plots", "--set")
    first = run(capsys, *sweep, "macros.m.adc.bits=6,7")
    assert "also holds" not in first.out
    second = run(capsys, *sweep, "macros.m.adc.bits=7,8", "--resume")
    assert second.code == 0, second.err
    assert "also holds 1 cells that are not of this run's grid" in second.out
    assert len((tmp_path / "cells.csv").read_text().splitlines()) == 3


def test_images_of_one_class(capsys, tmp_path: Path) -> None:
    for label in (0, 1):
        (tmp_path / str(label)).mkdir()
        for number in range(3):
            Image.new("L", (8, 8), 40 * number).save(tmp_path / str(label) / f"{number}.png")
    net = ("asim:digits_vit", "generic-255x8b", "--set", "defaults.input_encoding=1", "--data")
    refused = run(capsys, "asim-sweep", *net, tmp_path, "--num-samples", 2)
    is_refused(refused, 2, "all images are of one class", "--balanced")
    (tmp_path / "one" / "0").mkdir(parents=True)
    for number in range(2):
        Image.new("L", (8, 8)).save(tmp_path / "one" / "0" / f"{number}.png")
    is_refused(run(capsys, "asim-sweep", *net, tmp_path / "one"), 2, "all images are of one class", "sub-folder")


def test_what_does_not_differ_is_said(capsys, tmp_path: Path) -> None:
    bits = ("--set", "macros.m.adc.bits=7,8", "-o", tmp_path)
    result = run(capsys, "asim-sweep", *NET, *bits)
    assert result.code == 0
    assert "note: no front of accuracy against conversions: all cells have the same" in result.out
    assert not list(tmp_path.glob("front-conversions*"))
    pytest.importorskip("optuna")
    searched = run(capsys, "asim-sweep", *NET, *bits, "--resume", "--optuna", 4, "--json")
    assert any("conversions: the same at all" in note for note in json.loads(searched.out)["notes"])


def test_json_and_a_search(capsys) -> None:
    pytest.importorskip("optuna")
    result = run(capsys, "asim-sweep", *NET, "--set", "defaults.input_encoding=1,2", "--optuna", 4, "--json")
    assert result.code == 0, result.err
    data = json.loads(result.out)
    cells = {cell["settings"]["defaults.input_encoding"]: cell["conversions"] for cell in data["cells"]}
    assert set(cells) <= {"1", "2"}
    assert data["pareto"]["conversions"]
    assert result.err == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), ("nothing to sweep", "macros.m.adc.bits=5,6,7,8")),
        (("--set", "macros.m.adc.bit=5,6"), ("no field `bit`", "`bits`")),
        (("--set", "macros.q.adc.bits=5,6"), ("no macro `q`",)),
        (("--set", "macros.m.adc.bits=5,99"), ("--set macros.m.adc.bits=99", "24")),
        (("--set", "macros.m.adc.bits=5:8"), ("first:last:count",)),
        (("--set", "macros.m.adc.bits=5,,8"), ("a value is missing",)),
        (("--set", "defaults.input_encoding=1", "--objective", "beauty"), ("'beauty' is unknown", "latency")),
        (("--set", "defaults.input_encoding=1", "--resume"), ("--resume needs -o",)),
        (("--set", "defaults.input_encoding=1", "--seeds", "x"), ("--seeds",)),
        (("--set", "defaults.input_encoding=1", *CALIBRATED), ("nothing to do", "defaults.scale=static")),
        (("--set", "defaults.scale=static", "--calibrate", "no_such_folder"), ("no_such_folder",)),
        (
            ("--set", "macros.m.noise.random_percent_fs=0:1:10000", "--set", "defaults.weight_bits=4,8"),
            ("20,000 cells",),
        ),
        (("--set", "defaults.vote={levels: 1},{levels: 2}", "--set", "defaults.vote.samples=3,5"), ("overlaps",)),
    ],
)
def test_bad_options(capsys, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    is_refused(run(capsys, "asim-sweep", *NET, *arguments), 2, *words)


def test_messages_keep_what_was_typed(capsys) -> None:
    """A word between colons is no emoji."""
    refused = run(capsys, "asim-sweep", *NET, "--set", "defaults.input_encoding=:1234:")
    assert ":1234:" in refused.err


def test_bad_data(capsys, tmp_path: Path) -> None:
    empty = tmp_path / "images"
    empty.mkdir()
    net = ("asim:digits_vit", "generic-255x8b", "--set", "defaults.input_encoding=1")
    is_refused(run(capsys, "asim-sweep", *net, "--data", empty), 2, "images")
    is_refused(run(capsys, "asim-sweep", "asim:digits_vot", *net[1:], "--data", "digits"), 2, "digits_vit")
    impossible = ("--set", "rules=[{match: {name: stem}, weight_bits: 4}]", "-b", 4, "--num-samples", 4)
    refused = run(capsys, "asim-sweep", "asim:digits_vit", "generic-255x8b", "--data", "digits", *impossible)
    is_refused(refused, 4, "no cell can be run", "matches nothing")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--optuna", 4), ("--optuna needs the package optuna", "asim-fx[explore]")),
        (("--ray", "local"), ("--ray needs the package ray", "asim-fx[ray]")),
        (("-o", "out"), ("--no-plots turns off, needs the package matplotlib", "asim-fx[explore]")),
    ],
)
def test_packages_that_are_missing(
    capsys, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: tuple[object, ...], words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("asim_fx.cli.work.modules.find_spec", lambda _: None)
    is_refused(run(capsys, "asim-sweep", *NET, "--set", "defaults.input_encoding=1,2", *arguments), 2, *words)
    assert not list(tmp_path.iterdir())
