from __future__ import annotations

from pathlib import Path

import pytest

from asim_fx.errors import AsimError, DataError
from asim_fx.exploration.pool import in_processes, in_this_process
from tests.exploration.standins import Fragile, measure, prepare

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


@pytest.mark.slow
def test_processes_that_always_die_are_given_up(tmp_path: Path) -> None:
    with in_processes(Fragile(tmp_path, times=9), 1) as run, pytest.raises(AsimError, match="died"):
        list(run(CELLS[2:3]))
