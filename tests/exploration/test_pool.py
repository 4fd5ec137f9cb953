from __future__ import annotations

from pathlib import Path

import pytest
import torch

from asim_fx.errors import AsimError, DataError
from asim_fx.exploration import pool
from asim_fx.exploration.pool import in_processes, in_this_process
from tests.exploration.standins import Fragile, dies_at_the_start, measure, prepare

CELLS = [(("bits", str(bits)), ("reads", "1")) for bits in range(4, 10)]


def test_in_this_process() -> None:
    with in_this_process(measure) as run:
        assert list(run(CELLS)) == list(map(measure, CELLS))


def test_processes_are_kept_between_calls() -> None:
    with in_processes(prepare, 2) as run:
        assert sorted(run(CELLS[:3]), key=str) == sorted(map(measure, CELLS[:3]), key=str)
        assert sorted(run(CELLS), key=str) == sorted(map(measure, CELLS), key=str)
        with pytest.raises(DataError, match="no images"):
            list(run([(("bits", "99"),)]))


def test_a_process_that_dies_loses_nothing(tmp_path: Path) -> None:
    with in_processes(Fragile(tmp_path), 2) as run:
        assert sorted(run(CELLS), key=str) == sorted(map(measure, CELLS), key=str)
    assert (tmp_path / "died-0").exists()


def test_a_cell_that_always_ends_its_process_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are measured, those too that ran beside it."""
    monkeypatch.setattr(pool, "_MOST_DEATHS", 2)
    with in_processes(Fragile(tmp_path, times=9), 2) as run:
        results = {dict(result.settings)["bits"]: result for result in run(CELLS)}
    assert len(list(tmp_path.glob("died-*"))) == 3  # once beside another cell, twice alone
    assert "died 2 times" in results.pop("6").error
    assert [results[bits] for bits in sorted(results)] == [measure(cell) for cell in CELLS if cell[0][1] != "6"]


def test_processes_that_cannot_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_MOST_DEATHS", 1)
    with in_processes(dies_at_the_start, 1) as run, pytest.raises(AsimError, match="before they could start"):
        list(run(CELLS))


def test_the_number_of_threads_is_restored() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        with in_this_process(measure) as run:
            list(run(CELLS[:1]))
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
