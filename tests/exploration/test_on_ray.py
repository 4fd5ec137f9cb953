"""Ray starts a cluster of its own processes, which takes longer than all other tests of this folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from asim_fx.errors import AsimError, DataError, UsageError
from asim_fx.exploration import on_ray as module
from asim_fx.exploration.cells import CellResult
from asim_fx.exploration.on_ray import _result, on_ray
from tests.exploration.standins import Fragile, measure, prepare

ROOT = Path(__file__).parents[2]
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

        class LocalRayletDiedError(RayError):
            pass

        class RaySystemError(RayError):
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


def test_the_end_of_ray_itself_is_no_result_of_a_cell() -> None:
    ray = StandIn()
    with pytest.raises(AsimError, match=r"Ray ended on this machine while cells ran \(LocalRayletDiedError\)") as told:
        _result(ray, ray.exceptions.LocalRayletDiedError(""), CELLS[0])
    assert "--resume goes on" in told.value.hint


@pytest.mark.slow
def test_ray_that_is_killed_ends_the_sweep_and_says_nothing_on_stdout(tmp_path: Path) -> None:
    """In a process of its own, which Ray may end."""
    pytest.importorskip("ray")
    program = tmp_path / "program.py"
    program.write_text(
        "import os, signal, sys\n"
        "from asim_fx.errors import AsimError\n"
        "from asim_fx.exploration.on_ray import on_ray\n"
        "from tests.exploration.standins import prepare\n"
        "import ray._private.worker as worker\n"
        "try:\n"
        "    with on_ray(prepare, 'local', workers=1) as run:\n"
        "        next(run([(('bits', '5'),)]))\n"
        "        (raylet,) = worker._global_node.all_processes['raylet']\n"
        "        os.kill(raylet.process.pid, signal.SIGKILL)\n"
        "        list(run([(('bits', str(bits)),) for bits in range(4, 9)]))\n"
        "except AsimError as error:\n"
        "    print(error, error.hint, file=sys.stderr)\n"
    )
    found = subprocess.run(
        [sys.executable, program],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=120,
        check=False,
    )
    assert found.stdout == ""
    assert "Ray ended on this machine while cells ran" in found.stderr
    assert "--resume goes on" in found.stderr


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
