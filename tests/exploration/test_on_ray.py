"""Ray starts a cluster of its own processes, which takes longer than all other tests of this folder."""

from __future__ import annotations

import pytest

from asim_fx.errors import DataError, UsageError
from asim_fx.exploration import on_ray as module
from asim_fx.exploration.cells import CellResult
from asim_fx.exploration.on_ray import _result, on_ray
from tests.exploration.standins import Fragile, measure, prepare

CELLS = [(("bits", str(bits)), ("reads", "1")) for bits in range(4, 10)]


class StandIn:
    """What of Ray gives results: its errors, and a store that raises them."""

    class exceptions:  # noqa: N801 (a module)
        class RayError(Exception):
            pass

        class RayTaskError(RayError):
            cause: Exception

        class OutOfMemoryError(RayError):
            pass

    def get(self, reference: CellResult | Exception) -> CellResult:
        if isinstance(reference, Exception):
            raise reference
        return reference


def test_a_cell_that_ray_gives_up_is_a_result() -> None:
    ray = StandIn()
    assert _result(ray, measure(CELLS[0]), CELLS[0]) == measure(CELLS[0])
    lost = _result(ray, ray.exceptions.OutOfMemoryError("too much"), CELLS[1])
    assert lost.settings == CELLS[1]
    assert "OutOfMemoryError" in lost.error
    own = ray.exceptions.RayTaskError("")
    own.cause = DataError("there are no images")
    with pytest.raises(DataError, match="no images"):
        _result(ray, own, CELLS[0])
    own.cause = ZeroDivisionError()
    with pytest.raises(ray.exceptions.RayTaskError):  # a defect is none of the cell's
        _result(ray, own, CELLS[0])


@pytest.mark.slow
def test_a_worker_that_is_killed_loses_no_cell(tmp_path) -> None:
    pytest.importorskip("ray")
    with on_ray(Fragile(tmp_path), "local", workers=2) as run:
        assert sorted(run(CELLS), key=str) == sorted(map(measure, CELLS), key=str)
    assert (tmp_path / "died-0").exists()  # SIGKILL, in the middle of a cell
    workers = {mark.name.partition("-")[2] for mark in tmp_path.glob("[0-9]*-*")}
    assert len(workers) >= 2
    assert len(list(tmp_path.glob("6-*"))) == 2  # tried, lost, and tried again elsewhere


@pytest.mark.slow
def test_a_cell_that_always_ends_its_worker_is_given_up(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    monkeypatch.setattr(module, "_MOST_DEATHS", 1)
    with on_ray(Fragile(tmp_path, times=99), "local", workers=2) as run:
        results = {dict(result.settings)["bits"]: result for result in run(CELLS)}
    assert "gave this cell up" in results.pop("6").error
    assert all(not result.error for result in results.values())


@pytest.mark.slow
def test_no_such_cluster() -> None:
    pytest.importorskip("ray")
    with pytest.raises(UsageError, match="no Ray cluster"), on_ray(prepare, "127.0.0.1:1", workers=1):
        pass
