"""Run cells on a Ray cluster: one task a cell; a task whose worker dies runs again somewhere else."""

from __future__ import annotations

import importlib.util
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from asim_fx.errors import AsimError, UsageError
from asim_fx.exploration.axes import Settings
from asim_fx.exploration.cells import CellResult, Evaluate, Prepare, RunCells
from asim_fx.exploration.pool import use_one_thread

LOCAL = "local"
_CONNECT_SECONDS = 10.0
_MOST_DEATHS = 5
"""Of the workers of one cell."""


@contextmanager
def on_ray(prepare: Prepare, address: str, workers: int) -> Iterator[RunCells]:
    """Evaluate cells as Ray tasks of one CPU each.

    Args:
        prepare: hashable; a worker calls it once for all of its cells. The nodes need the same packages and data.
        address: of the cluster; ``local`` starts one on this machine, and ends it.
        workers: CPUs of a local one.

    Yields:
        what runs cells, and gives results as they come. It raises what a cell raises, and AsimError where the workers
        of one cell die again and again.

    Raises:
        UsageError: Ray is not installed, or there is no such cluster.
    """
    check_installed()
    import ray

    _connect(ray, address, workers)
    task = ray.remote(num_cpus=1, max_retries=_MOST_DEATHS)(_work)
    shared = ray.put(prepare)

    def run(cells: Sequence[Settings]) -> Iterator[CellResult]:
        waiting = [task.remote(shared, cell) for cell in cells]
        while waiting:
            done, waiting = ray.wait(waiting, num_returns=1)
            yield from (_result(ray, reference) for reference in done)

    try:
        yield run
    finally:
        ray.shutdown()


def check_installed() -> None:
    """Refuse to go on without Ray.

    Raises:
        UsageError: it is not installed.
    """
    if importlib.util.find_spec("ray") is None:
        message = "--ray needs Ray, which is not installed"
        raise UsageError(message, hint="pip install 'asim-fx[ray]'")


def _connect(ray: Any, address: str, workers: int) -> None:
    _check_listening(address)
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        if address == LOCAL:
            ray.init(address=LOCAL, num_cpus=workers, include_dashboard=False, **quiet)
        else:
            ray.init(address=address, **quiet)
    except (ConnectionError, ValueError, RuntimeError) as error:
        message = f"there is no Ray cluster at {address}: {str(error).splitlines()[0]}"
        raise UsageError(message, hint="--ray local starts one on this machine") from error


def _check_listening(address: str) -> None:
    """Refuse an address where nobody listens: Ray itself would try for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdecimal():
        return
    try:
        socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        message = f"there is no Ray cluster at {address}: {error}"
        raise UsageError(message, hint="--ray local starts one on this machine") from error


def _result(ray: Any, reference: Any) -> CellResult:
    try:
        result: CellResult = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, AsimError):
            raise error.cause from None
        raise
    except ray.exceptions.WorkerCrashedError as error:
        message = f"the workers of one cell died {_MOST_DEATHS + 1} times"
        raise AsimError(message, hint="probably memory: a smaller --batch-size or larger nodes") from error
    return result


def _work(prepare: Prepare, cell: Settings) -> CellResult:
    return _prepared(prepare)(cell)


@lru_cache(maxsize=1)
def _prepared(prepare: Prepare) -> Evaluate:
    """Return what this worker evaluates with; made for its first cell and kept for the next ones."""
    use_one_thread()
    return prepare()
