"""asim-simulate --probe, from the shell."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from asim_fx.report.fidelity import from_json
from tests.cli.command import run

PROBE = ("--data", "digits", "--probe", "--num-samples", 4, "-b", 2)


@pytest.fixture
def mine(artifact: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(artifact, tmp_path / "digits"))


def test_the_table_is_in_network_order_and_marks_the_worst(capsys, mine: Path) -> None:
    done = run(capsys, "asim-simulate", mine, *PROBE)
    assert done.code == 0, done.err
    names = [line.split()[0] for line in done.out.splitlines() if " conv " in line or " linear " in line]
    assert names[0] == "conv1"
    assert names[-1] == "fc"
    assert done.out.count("<- worst") == 1
    assert "exact" in done.out  # the stem is digital
    kept = from_json((mine / "probe.json").read_text())
    assert kept.worst is not None
    assert f"{kept.worst.site} <- worst" in done.out
    assert kept.images == 4


def test_json_and_the_results_file_say_the_same(capsys, mine: Path, tmp_path: Path) -> None:
    file = tmp_path / "probe.json"
    done = run(capsys, "asim-simulate", mine, *PROBE, "--json", "--results-file", file, "--seeds", "0:2")
    assert done.code == 0, done.err
    assert done.out == file.read_text() == (mine / "probe.json").read_text()
    data = json.loads(done.out)
    assert data["seeds"] == [0, 1]
    assert data["sites"][0]["csnr_db"] == "inf"
    again = run(capsys, "asim-simulate", mine, *PROBE, "--results-file", file)
    assert again.code == 2
    assert "exists" in again.err
    # The artifact is as good as before.
    assert run(capsys, "asim-simulate", mine, *PROBE, "--results-file", file, "--overwrite").code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--dies", 2), "--dies"),
        (("--baseline",), "--baseline"),
        (("--resume", "--results-file", "x"), "--resume"),
        (("--overwrite",), "--results-file"),
    ],
)
def test_what_does_not_go_with_it(capsys, mine: Path, arguments: tuple[object, ...], words: str) -> None:
    refused = run(capsys, "asim-simulate", mine, *PROBE, *arguments)
    assert refused.code == 2
    assert words in refused.err


def test_without_data_nothing_is_probed(capsys, mine: Path) -> None:
    refused = run(capsys, "asim-simulate", mine, "--data", "nowhere", "--probe")
    assert refused.code == 2
    assert not (mine / "probe.json").exists()
