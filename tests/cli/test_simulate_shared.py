"""Several processes that torchrun launches."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

SIMULATE = ("-m", "asim_fx", "simulate")
OPTIONS = ("--data", "digits", "--num-samples", "22", "-b", "4", "--seeds", "0:2", "--baseline", "--json")


def launch(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, timeout=300)


def counts(path: Path) -> tuple[Any, list[list[Any]]]:
    header, *results = map(json.loads, path.read_text().splitlines())
    return header, sorted(([v for k, v in row.items() if k != "seconds"] for row in results), key=str)


def test_two_processes_find_what_one_finds(artifact: Path, tmp_path: Path) -> None:
    """Six batches, the last one smaller; three runs; one process resumes where two were cut off."""
    alone = launch(*SIMULATE, artifact, *OPTIONS, "--results-file", tmp_path / "one.jsonl")
    assert alone.returncode == 0, alone.stderr
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", *SIMULATE)
    both = launch(*torchrun, artifact, *OPTIONS, "--results-file", tmp_path / "two.jsonl")
    assert both.returncode == 0, both.stderr
    assert counts(tmp_path / "one.jsonl") == counts(tmp_path / "two.jsonl")
    expected, found = json.loads(alone.stdout), json.loads(both.stdout)  # one of two processes prints
    for result in (expected, found):
        for variant in result["variants"]:
            assert variant.pop("images_per_second") > 0
    assert found == expected

    cut = tmp_path / "cut.jsonl"
    lines = (tmp_path / "two.jsonl").read_text().splitlines(keepends=True)
    cut.write_text("".join(lines[:8]))
    resumed = launch(*torchrun, artifact, *OPTIONS, "--results-file", cut, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert cut.read_text().startswith("".join(lines[:8]))
    assert counts(cut) == counts(tmp_path / "one.jsonl")
