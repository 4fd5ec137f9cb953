from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

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
    other = run(capsys, "asim-sweep", *NET, *GRID, "-o", killed, "--resume", "--seeds", "1")
    is_refused(other, 2, "another sweep: other seeds")


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
    ],
)
def test_bad_options(capsys, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    is_refused(run(capsys, "asim-sweep", *NET, *arguments), 2, *words)


def test_bad_data(capsys, tmp_path: Path) -> None:
    empty = tmp_path / "images"
    empty.mkdir()
    net = ("asim:digits_vit", "generic-255x8b", "--set", "defaults.input_encoding=1")
    is_refused(run(capsys, "asim-sweep", *net, "--data", empty), 2, "images")
    is_refused(run(capsys, "asim-sweep", "asim:digits_vot", *net[1:], "--data", "digits"), 2, "digits_vit")
    impossible = ("--set", "rules=[{match: {name: stem}, weight_bits: 4}]", "-b", 4, "--num-samples", 4)
    refused = run(capsys, "asim-sweep", "asim:digits_vit", "generic-255x8b", "--data", "digits", *impossible)
    is_refused(refused, 2, "no cell can be run", "matches nothing")
