from __future__ import annotations

import sys

import pytest

from benchmarks import memory
from benchmarks.memory import Measurement, Task, describe, measure

NOISELESS = ("macros.m.noise.random_percent_fs=0", "macros.m.noise.nonlinear_percent_fs=0")


def test_a_run_in_a_process_of_its_own() -> None:
    ballast = bytearray(2**30)  # of this process, which the other must not count as its own
    ballast[::4096] = b"x" * len(ballast[::4096])
    result = measure(Task("asim:digits_resnet", batch=3, overrides=("macros.m.adc.bits=7", *NOISELESS), threads=1))
    del ballast
    assert (result.shape, result.threads) == ((3, 1, 8, 8), 1)
    assert 0.1e9 < result.peak_before <= result.peak < 1.5e9
    assert result.conversions == 3 * 1_213_056
    assert 0 < result.seconds < 60


def test_the_row_says_what_was_run() -> None:
    task = Task(overrides=("a.b=1", "c=2"))
    row = describe(task, Measurement((8, 3, 224, 224), 2, 10**9, 2 * 10**9, 1.25, 12_000_000)).splitlines()[-1]
    assert row == "| resnet50 | 8x3x224x224 | generic-255x8b | a.b=1 c=2 | 2 | 2.00 | 1.00 | 1.2 | 1.2e+07 |"


def test_options_become_the_task(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    tasks = []
    monkeypatch.setattr(memory, "measure", lambda task: tasks.append(task) or Measurement((1,), 1, 1, 1, 1.0, 1))
    monkeypatch.setattr(
        sys, "argv", ["memory", "vit", "-b", "2", "--size", "96", "--spec", "ideal", "--set", "a=1", "--set", "b=2"]
    )
    memory.main()
    assert tasks == [Task("vit", "ideal", ("a=1", "b=2"), batch=2, size=96)]
    assert "python -m benchmarks.memory" in capsys.readouterr().out
