"""Run cells in processes of one thread each; a process that dies costs the cells it was at, which run again."""

from __future__ import annotations

import multiprocessing as mp
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import wait as wait_for

from asim_fx.errors import AsimError
from asim_fx.exploration.axes import Settings
from asim_fx.exploration.cells import CellResult, Evaluate, Prepare, RunCells

_MOST_DEATHS = 3
"""In a row, without a cell finished in between."""

_evaluate: list[Evaluate] = []
"""What this process evaluates with; set once, when it starts."""


@contextmanager
def in_this_process(evaluate: Evaluate) -> Iterator[RunCells]:
    """Evaluate cells here, one after another.

    Yields:
        what runs cells.
    """
    use_one_thread()
    yield lambda cells: map(evaluate, cells)


@contextmanager
def in_processes(prepare: Prepare, jobs: int) -> Iterator[RunCells]:
    """Evaluate cells in ``jobs`` processes, which end with the body.

    Yields:
        what runs cells, and gives results as they come. It raises what a cell raises, and AsimError where processes
        die again and again.
    """
    pool = _Pool(prepare, jobs)
    try:
        yield pool.run
    finally:
        pool.end()


class _Pool:
    """Processes that are started when first needed, and again when one of them died."""

    def __init__(self, prepare: Prepare, jobs: int) -> None:
        self._prepare, self._jobs = prepare, jobs
        self._executor: ProcessPoolExecutor | None = None

    def run(self, cells: Sequence[Settings]) -> Iterator[CellResult]:
        left, deaths = list(cells), 0
        while left:
            finished: list[Settings] = []
            try:
                for result in self._run(left):
                    finished.append(result.settings)
                    yield result
            except BrokenProcessPool as error:
                self.end()
                deaths = 1 if finished else deaths + 1
                if deaths >= _MOST_DEATHS:
                    message = f"the processes of the sweep died {deaths} times in a row"
                    raise AsimError(message, hint="probably memory: fewer --jobs or a smaller --batch-size") from error
            left = [cell for cell in left if cell not in finished]

    def _run(self, cells: Sequence[Settings]) -> Iterator[CellResult]:
        if self._executor is None:
            _start_quiet_tracker()
            context = mp.get_context("spawn")
            self._executor = ProcessPoolExecutor(self._jobs, context, initializer=_start, initargs=(self._prepare,))
        waiting: set[Future[CellResult]] = {self._executor.submit(_work, cell) for cell in cells}
        while waiting:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            broken = [future for future in done if isinstance(future.exception(), BrokenProcessPool)]
            for future in done.difference(broken):  # what was finished before another process died is kept
                yield future.result()
            for future in broken:
                future.result()

    def end(self) -> None:
        if self._executor is not None:
            processes = list((self._executor._processes or {}).values())
            self._executor.shutdown(wait=False, cancel_futures=True)
            for process in processes:  # in the middle of a cell they would hear of it only at its end
                process.kill()
            self._executor = None


def _start_quiet_tracker() -> None:
    """Start Python's own process that cleans up after this one: without a warning to the user that there is a need.

    Where this process is ended by Ctrl-C it leaves semaphores, and the tracker takes them away.
    """
    if sys.platform == "win32":
        return
    earlier = os.environ.get("PYTHONWARNINGS")
    os.environ["PYTHONWARNINGS"] = "ignore"  # inherited
    try:
        resource_tracker.ensure_running()
    finally:
        if earlier is None:
            del os.environ["PYTHONWARNINGS"]
        else:
            os.environ["PYTHONWARNINGS"] = earlier


def _start(prepare: Prepare) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle; it ends its children
    threading.Thread(target=_end_with_parent, daemon=True).start()
    use_one_thread()
    _evaluate[:] = [prepare()]


def _end_with_parent() -> None:
    """End this process when the one that started it was killed: nobody else would tell it."""
    parent = mp.parent_process()
    if parent is not None:
        wait_for([parent.sentinel])
        os._exit(1)


def _work(cell: Settings) -> CellResult:
    return _evaluate[0](cell)


def use_one_thread() -> None:
    """Compute with one thread, so that a cell's result does not depend on how many others run beside it."""
    import torch

    torch.set_num_threads(1)
