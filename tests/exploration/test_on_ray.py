"""Ray starts a cluster of its own processes, which takes longer than all other tests of this folder."""

from __future__ import annotations

import pytest

from asim_fx.errors import UsageError
from asim_fx.exploration.on_ray import on_ray
from tests.exploration.standins import Fragile, measure, prepare

pytestmark = pytest.mark.slow
CELLS = [(("bits", str(bits)), ("reads", "1")) for bits in range(4, 10)]


def test_a_worker_that_is_killed_loses_no_cell(tmp_path) -> None:
    pytest.importorskip("ray")
    with on_ray(Fragile(tmp_path), "local", workers=2) as run:
        assert sorted(run(CELLS), key=str) == sorted(map(measure, CELLS), key=str)
    assert (tmp_path / "died-0").exists()  # SIGKILL, in the middle of a cell
    workers = {mark.name.partition("-")[2] for mark in tmp_path.glob("[0-9]*-*")}
    assert len(workers) >= 2
    assert len(list(tmp_path.glob("6-*"))) == 2  # tried, lost, and tried again elsewhere


def test_no_such_cluster() -> None:
    pytest.importorskip("ray")
    with pytest.raises(UsageError, match="no Ray cluster"), on_ray(prepare, "127.0.0.1:1", workers=1):
        pass
