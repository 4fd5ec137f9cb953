"""Run cells in processes of one thread each. When a process dies, the cells that were running are tried again alone."""

from __future__ import annotations

import multiprocessing as mp
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import wait as wait_for

from asim_fx.errors import AsimError
from asim_fx.exploration.axes import Settings
from asim_fx.exploration.cells import CellResult, Evaluate, Prepare, RunCells, given_up

_MOST_DEATHS = 3
"""Of processes that one cell ran in alone; of processes in a row that did not even start."""

_evaluate: list[Evaluate] = []
"""What this process evaluates with; set once, when it starts."""


@contextmanager
def in_this_process(evaluate: Evaluate) -> Iterator[RunCells]:
    """Evaluate cells here, one after another, with one thread; the number of threads is restored afterwards.

    Yields:
        what runs cells.
    """
    import torch

    threads = torch.get_num_threads()
    use_one_thread()
    try:
        yield lambda cells: map(evaluate, cells)
    finally:
        torch.set_num_threads(threads)


@contextmanager
def in_processes(prepare: Prepare, jobs: int) -> Iterator[RunCells]:
    """Evaluate cells in ``jobs`` processes, which end with the body.

    Yields:
        what runs cells, and gives results as they come. A cell whose process dies again and again gets a result that
        says so. It raises what a cell raises, and AsimError where processes cannot start.
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
        waiting = deque(cells)
        running: dict[Future[CellResult], Settings] = {}
        while waiting or running:
            try:
                # No more at a time than there are processes: those that run when one dies are then known.
                while waiting and len(running) < self._jobs:
                    future = self._started().submit(_work, waiting[0])
                    running[future] = waiting.popleft()
                wait(running, return_when=FIRST_COMPLETED)
                died = any(isinstance(future.exception(), BrokenProcessPool) for future in running if future.done())
            except BrokenProcessPool:  # while a cell was handed over, which still waits
                died = True
            for future in [future for future in running if _finished(future)]:
                del running[future]
                yield future.result()
            if died:
                self.end()
                suspects, running = list(running.values()), {}
                yield from map(self._run_alone, suspects)

    def _run_alone(self, cell: Settings) -> CellResult:
        """Return the result of a cell that may have ended a process; nothing runs beside it."""
        for _ in range(_MOST_DEATHS):
            try:
                return self._started().submit(_work, cell).result()
            except BrokenProcessPool:
                self.end()
        return given_up(cell, f"the process that ran this cell died {_MOST_DEATHS} times")

    def _started(self) -> ProcessPoolExecutor:
        """Return processes of which one at least has made itself ready.

        Raises:
            AsimError: they die before that.
        """
        for _ in range(_MOST_DEATHS):
            if self._executor is not None:
                return self._executor
            _start_quiet_tracker()
            context = mp.get_context("spawn")
            executor = ProcessPoolExecutor(self._jobs, context, initializer=_start, initargs=(self._prepare,))
            self._executor = executor
            try:
                executor.submit(_ready).result()
            except BrokenProcessPool:
                self.end()
        message = f"the processes of the sweep died {_MOST_DEATHS} times before they could start"
        raise AsimError(message, hint="probably memory: fewer --jobs or a smaller --batch-size")

    def end(self) -> None:
        if self._executor is not None:
            processes = list((self._executor._processes or {}).values())
            self._executor.shutdown(wait=False, cancel_futures=True)
            for process in processes:  # in the middle of a cell they would hear of it only at its end
                process.kill()
            self._executor = None


def _finished(future: Future[CellResult]) -> bool:
    return future.done() and not isinstance(future.exception(), BrokenProcessPool)


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


def _ready() -> None:
    """Show that a process runs."""


def _work(cell: Settings) -> CellResult:
    return _evaluate[0](cell)


def use_one_thread() -> None:
    """Compute with one thread, so that a cell's result does not depend on how many others run beside it."""
    import torch

    torch.set_num_threads(1)
