from __future__ import annotations

import time

import pytest
import torch
from torch import nn

from benchmarks import speed
from benchmarks.speed import BITS, MACROS, Operation, Timing, chip, least_seconds, measure, operations, table


@pytest.fixture
def small() -> Operation:
    return Operation("linear 3 x 300 x 5", nn.Linear(300, 5, bias=False), torch.rand(3, 300))


@pytest.mark.parametrize("bits", BITS)
def test_every_read_is_counted(small: Operation, bits: int) -> None:
    for macro in MACROS.values():
        assert measure(small, chip(macro, bits), repeats=1).conversions == 3 * 5 * 2 * bits * bits


def test_the_operations_are_those_that_are_named() -> None:
    shapes = {one.name: tuple(one.layer(one.images).shape) for one in operations()}
    assert shapes == {
        "conv 64->64, 3x3, 32x32, batch 4": (4, 64, 32, 32),
        "conv 128->128, 3x3, 16x16, batch 16": (16, 128, 16, 16),
        "linear 200 x 768 x 768": (200, 768),
    }


def test_the_least_of_several_runs_after_one_that_is_not_counted() -> None:
    pauses = iter([0.0, 0.03, 0.01, 0.02])
    assert 0.01 <= least_seconds(lambda: time.sleep(next(pauses)), 3) < 0.02


def test_nanoseconds_for_each_conversion() -> None:
    assert Timing(2.0, 10**8).per_conversion == "20"


def test_a_table_of_one_small_operation(small: Operation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "measure_float", lambda operation, repeats: 1e-3)
    monkeypatch.setattr(speed, "measure", lambda operation, spec, repeats: Timing(0.5, 10**7))
    before = torch.get_num_threads()
    heading, _, *rows = table([small], [1, 2], repeats=1).splitlines()
    torch.set_num_threads(before)
    assert len(rows) == 6
    assert heading.endswith(
        "1 thread, ns/conversion | 2 threads, ms | 2 threads, times torch | 2 threads, ns/conversion |"
    )
    assert rows[0] == "| linear 3 x 300 x 5 | 8/8 | lossless | 1.00 | 500 | 500 | - | 500 | 500 | - |"
    assert rows[2] == "| linear 3 x 300 x 5 | 8/8 | noise | 1.00 | 500 | 500 | 50 | 500 | 500 | 50 |"
