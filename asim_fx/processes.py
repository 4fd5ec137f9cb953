"""Call a function on many names, each in a process of its own, so that none can stop the rest."""

from __future__ import annotations

import multiprocessing as mp
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")
_POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Result]):
    """What became of one name.

    Attributes:
        name: what the function was called on.
        seconds: wall time of its process.
        result: what the function returned; None where it did not.
        error: why there is no result, in one line; empty where there is one.
    """

    name: str
    seconds: float
    result: Result | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class _Running:
    name: str
    process: BaseProcess
    answer: Connection
    since: float


def run_isolated(
    function: Callable[[str], Result],
    names: Iterable[str],
    *,
    jobs: int = 1,
    seconds: float = float("inf"),
    gigabytes: float | None = None,
    preload: Sequence[str] = (),
) -> Iterator[Outcome[Result]]:
    """Call ``function(name)`` for each name, and yield the outcomes as they come.

    A call that raises, is killed, or takes too long is an outcome with an error. The processes end with the iterator.

    Args:
        function: importable by name, with a result that pickles.
        names: taken one by one, as processes get free.
        jobs: processes at a time.
        seconds: that one call may take.
        gigabytes: of address space that one call may take, where the system can limit it.
        preload: modules to import once for all processes, where the system can fork.
    """
    method = "forkserver" if "forkserver" in mp.get_all_start_methods() else "spawn"
    context: Any = mp.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload(list(preload))
        _start_server()
    waiting = iter(names)
    running: list[_Running] = []
    try:
        while True:
            fresh = islice(waiting, jobs - len(running))
            running += [_start(context, function, name, gigabytes) for name in fresh]
            if not running:
                return
            wait([one.answer for one in running], timeout=_POLL_SECONDS)
            for one in list(running):
                outcome: Outcome[Result] | None = _finished(one, seconds)
                if outcome is not None:
                    running.remove(one)
                    yield outcome
    finally:
        for one in running:
            one.process.kill()


def _start_server() -> None:
    """Start the process that forks the others deaf to Ctrl-C, which reaches every process of a terminal."""
    earlier = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # inherited
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, earlier)


def _start(context: Any, function: Callable[[str], Any], name: str, gigabytes: float | None) -> _Running:
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(function, name, gigabytes, theirs), daemon=True)
    process.start()
    theirs.close()
    return _Running(name, process, ours, time.monotonic())


def _work(function: Callable[[str], Any], name: str, gigabytes: float | None, answer: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle; it ends its children
    if gigabytes is not None and sys.platform != "win32":
        import resource

        limit = int(gigabytes * 2**30)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    try:
        result, error = function(name), ""
    except Exception as raised:
        result, error = None, one_line(raised)
    answer.send((result, error))


def _finished(one: _Running, limit: float) -> Outcome[Any] | None:
    """Return the outcome of a process that answered, died or ran out of time; None while it works."""
    seconds = time.monotonic() - one.since
    if one.answer.poll():
        try:
            result, error = one.answer.recv()
        except EOFError:
            one.process.join()
            result, error = None, f"its process ended without an answer ({_ending(one.process.exitcode)})"
        one.process.join()
        return Outcome(one.name, seconds, result, error)
    if seconds > limit:
        one.process.kill()
        one.process.join()
        return Outcome(one.name, seconds, error=f"not done after {limit:g} s")
    return None


def _ending(code: int | None) -> str:
    return signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"


def one_line(error: Exception) -> str:
    """Return an error's type and the first line of what it says."""
    said = str(error).strip().splitlines()
    return f"{type(error).__name__}: {said[0]}" if said else type(error).__name__
