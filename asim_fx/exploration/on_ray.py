"""Run cells on a Ray cluster: one task a cell; a task whose worker dies runs again somewhere else."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from functools import lru_cache
from pathlib import Path
from typing import Any

from asim_fx.errors import AsimError, UsageError
from asim_fx.exploration.axes import Settings
from asim_fx.exploration.cells import CellResult, Evaluate, Prepare, RunCells, given_up
from asim_fx.exploration.pool import use_one_thread

LOCAL = "local"
_CONNECT_SECONDS = 10.0
_MOST_DEATHS = 5
"""Of the workers of one cell."""


@contextmanager
def on_ray(prepare: Prepare, address: str, workers: int) -> Iterator[RunCells]:
    """Evaluate cells as Ray tasks of one CPU each. Needs Ray.

    Args:
        prepare: hashable; a worker calls it once for all of its cells. The nodes need the same packages and data.
        address: of the cluster; ``local`` starts one on this machine, and ends it.
        workers: CPUs of a local one.

    Yields:
        what runs cells, and gives results as they come. It raises what a cell raises. Where the workers of a cell die
        again and again, its result says so.

    Raises:
        UsageError: there is no such cluster.
        AsimError: Ray itself ended while cells ran.
    """
    import ray

    # Ray tells of its own state on stdout, which is for results.
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
        _connect(ray, address, workers)
        task = ray.remote(num_cpus=1, max_retries=_MOST_DEATHS)(_work)
        shared = ray.put(prepare)

        def run(cells: Sequence[Settings]) -> Iterator[CellResult]:
            left = {task.remote(shared, cell): cell for cell in cells}
            while left:
                with _ends_told(ray):
                    done, _ = ray.wait(list(left), num_returns=1)
                yield from (_result(ray, reference, left.pop(reference)) for reference in done)

        try:
            yield run
        finally:
            ray.shutdown()


@contextmanager
def _ends_told(ray: Any) -> Iterator[None]:
    """Turn the end of Ray on this machine into a message.

    Raises:
        AsimError: it ended.
    """
    try:
        yield
    except (ray.exceptions.LocalRayletDiedError, ray.exceptions.RaySystemError) as error:
        message = f"Ray ended on this machine while cells ran ({type(error).__name__})"
        hint = "with -o the finished cells are kept, and the same command with --resume goes on"
        raise AsimError(message, hint=hint) from error


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


def _result(ray: Any, reference: Any, cell: Settings) -> CellResult:
    """Return the result of a task; where Ray itself gave it up, a result that says why.

    Raises:
        AsimError: what the cell raised, or Ray itself ended, which says nothing of the cell.
    """
    try:
        with _ends_told(ray):
            result: CellResult = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, AsimError):
            raise error.cause from None
        raise
    except ray.exceptions.RayError as error:  # worker crashed, out of memory, node died, object lost ...
        return given_up(cell, f"Ray gave this cell up after {_MOST_DEATHS + 1} tries: {type(error).__name__}")
    return result


def _work(prepare: Prepare, cell: Settings) -> CellResult:
    return _prepared(prepare)(cell)


@lru_cache(maxsize=1)
def _prepared(prepare: Prepare) -> Evaluate:
    """Return what this worker evaluates with; made for its first cell and kept for the next ones."""
    use_one_thread()
    return prepare()
