from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asim_fx.cli.simulate import _intervals, parse_seeds
from asim_fx.errors import UsageError
from asim_fx.simulation import SimulationResult, VariantResult
from asim_fx.simulation.metrics import Estimate
from tests.cli.command import run

DIGITS = ("--data", "digits", "--num-samples", 8, "-b", 4)


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("0:5", (0, 1, 2, 3, 4)),
        ("3", (3,)),
        ("0,2,5", (0, 2, 5)),
        ("0:3,7", (0, 1, 2, 7)),
        (":2", (0, 1)),
        ("1,1", (1,)),
    ],
)
def test_seeds(text: str, seeds: tuple[int, ...]) -> None:
    assert parse_seeds(text) == seeds


@given(st.lists(st.integers(0, 2**63 - 1), min_size=1, unique=True))
def test_any_list_of_seeds(seeds: list[int]) -> None:
    assert parse_seeds(",".join(map(str, seeds))) == tuple(seeds)


@given(st.text(alphabet="0123456789:,- a", max_size=6))
def test_seeds_are_read_or_refused(text: str) -> None:
    try:
        seeds = parse_seeds(text)
    except UsageError:
        return
    assert seeds
    assert min(seeds) >= 0


def test_the_table(capsys, artifact: Path) -> None:
    result = run(capsys, "asim-simulate", artifact, *DIGITS, "--baseline", "--seeds", "0:2")
    assert result.code == 0, result.err
    for words in (
        "float model",
        "ideal integer model",
        "simulated hardware",
        "8 images, Wilson",
    ):
        assert words in result.out
    assert result.err == ""
    assert max(map(len, result.out.splitlines())) <= 80


def test_top5_may_have_another_interval_than_top1() -> None:
    seeds, images = Estimate(90.0, 80.0, 100.0, "3 seeds, Student t"), Estimate(100.0, 90.0, 100.0, "64 images, Wilson")
    hardware = VariantResult("hardware", (0, 1, 2), 64, seeds, images, 1.0)
    result = SimulationResult("net", "chip", "images", "cpu", (hardware,))
    words = "3 seeds, Student t (simulated hardware, top-1); over 64 images, Wilson (simulated hardware, top-5)"
    assert _intervals(result).endswith(words)
    same = SimulationResult("net", "chip", "images", "cpu", (replace(hardware, top5=seeds),))
    assert _intervals(same).endswith("95 % interval over 3 seeds, Student t")


def test_dies_are_shown(capsys, artifact: Path) -> None:
    result = run(capsys, "asim-simulate", artifact, *DIGITS, "--dies", 2)
    assert result.code == 0, result.err
    assert "top-1 % over 2 dies: mean" in result.out
    assert "worst" in result.out
    assert "nothing in this spec differs from die to die" in " ".join(result.err.split())
    data = json.loads(run(capsys, "asim-simulate", artifact, *DIGITS, "--dies", 2, "--json").out)
    assert data["variants"][-1]["over_dies"]["dies"] == 2
    assert run(capsys, "asim-simulate", artifact, *DIGITS, "--dies", 0).code == 2


def test_json_is_all_that_stdout_holds(capsys, artifact: Path) -> None:
    result = run(capsys, "asim-simulate", artifact, *DIGITS, "--json")
    value = json.loads(result.out)
    assert [variant["variant"] for variant in value["variants"]] == ["integer", "hardware"]
    assert value["variants"][0]["images"] == 8
    assert value["variants"][0]["top5"] is not None
    assert value["spec"] == "generic-255x8b"


def test_resume(capsys, artifact: Path, tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    command = ("asim-simulate", artifact, *DIGITS, "--json", "--results-file", file)
    first = run(capsys, *command)
    assert first.code == 0, first.err
    whole = file.read_text()
    again = run(capsys, *command)
    assert again.code == 2
    assert "--resume" in again.err
    file.write_text(whole[:-30])
    resumed = run(capsys, *command, "--resume")
    assert resumed.code == 0, resumed.err

    def accuracies(text: str) -> list[object]:
        return [(variant["top1"], variant["top5"]) for variant in json.loads(text)["variants"]]

    assert accuracies(resumed.out) == accuracies(first.out)
    assert len(file.read_text().splitlines()) == len(whole.splitlines())
    assert run(capsys, *command, "--overwrite").code == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--resume",), "--results-file"),
        (("--results-file", "r.jsonl", "--resume", "--overwrite"), "exclude each other"),
        (("--model", "resnet18"), "leave out --model"),
        (("--device", "cuda:99"), "cuda:99"),
        (("--split", "holdout"), "holdout"),
    ],
)
def test_options_that_make_no_sense(capsys, artifact: Path, options: tuple[str, ...], words: str) -> None:
    result = run(capsys, "asim-simulate", artifact, *DIGITS, *options)
    assert result.code == 2
    assert words in result.err
    assert result.out == ""


FACTORY = """
from torch import nn

def net(width=4):
    return nn.Sequential(nn.Conv2d(1, width, 3), nn.ReLU(), nn.Flatten(), nn.Linear(36 * width, 10))
"""


def test_a_model_of_the_user_s_own_code(capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_code.py").write_text(FACTORY)
    monkeypatch.chdir(tmp_path)
    size = ("--input-size", 1, 8, 8, "--model-kwargs", "width=3")
    made = run(capsys, "asim-convert", "own_code:net", "ideal", "-o", "out", *size)
    assert made.code == 0, made.err
    refused = run(capsys, "asim-simulate", "out", *DIGITS)
    assert refused.code == 2
    assert "--model" in refused.err
    other = run(capsys, "asim-simulate", "out", *DIGITS, "--model", "own_code:net")
    assert other.code == 2
    given_again = run(capsys, "asim-simulate", "out", *DIGITS, "--model", "own_code:net", "--model-kwargs", "width=3")
    assert given_again.code == 0, given_again.err


def test_a_factory_for_a_model_with_a_name_is_refused(capsys, artifact: Path) -> None:
    result = run(capsys, "asim-simulate", artifact, *DIGITS, "--model", "own_code:net")
    assert result.code == 2
    assert "was made from asim:digits_resnet" in result.err


@pytest.mark.parametrize("columns", [40, 60, 80])
def test_narrow_terminals_get_whole_figures(
    capsys, artifact: Path, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    result = run(capsys, "asim-simulate", artifact, *DIGITS)
    assert max(map(len, result.out.splitlines())) <= columns
    assert "…" not in result.out
    assert re.search(r"\(\d+\.\d-\d+\.\d\)", result.out)


def test_ctrl_c_keeps_finished_batches_and_says_how_to_go_on(artifact: Path, tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    program = "from asim_fx.cli.main import run_simulate; run_simulate()"
    options = ["--data", "digits", "-b", "2", "--seeds", "0:50", "--results-file", str(file)]
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(artifact), *options],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    deadline = time.monotonic() + 120
    while not (file.exists() and len(file.read_text().splitlines()) > 3) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "--resume" in err
    assert all(json.loads(line) for line in file.read_text().splitlines())
