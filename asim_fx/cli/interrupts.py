"""Ctrl-C ends a command at once. Torch does not survive an exception that is raised while it is imported or exports.

An exception may be swallowed on its way through a library, or turned into something else; ending the process cannot.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

from asim_fx.errors import ExitCode
from asim_fx.sharding import shard_of_environment

_Handler = Callable[[int, FrameType | None], None]

_CLEAN_LINE = "\x1b[?25h\r\x1b[2K"
"""Shows the cursor, which a progress bar hides, and takes the bar away."""


@contextmanager
def ending_at_interrupt(message: str = "interrupted", hint: str = "") -> Iterator[None]:
    """End the process when it is interrupted in the body: the words on stderr, exit code 130, no clean-up.

    Args:
        message: what the user is told.
        hint: what the user can do about it, or the empty string.
    """
    owner = os.getpid()

    def end(_number: int, _frame: FrameType | None) -> None:
        if os.getpid() == owner:  # a fork that has inherited this has nothing to say
            _tell(f"error: {message}", hint)
            _end_children()
        os._exit(ExitCode.INTERRUPTED)

    with _handled_by(end):
        yield


@contextmanager
def raising_interrupts() -> Iterator[None]:
    """Raise one KeyboardInterrupt when the body is interrupted: for what must not leave half of its work behind.

    Further interrupts do not disturb the clean-up.

    Raises:
        KeyboardInterrupt: the body was interrupted, whatever became of the exception in it.
    """
    interrupted = False

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        nonlocal interrupted
        if not interrupted:
            interrupted = True
            raise KeyboardInterrupt

    with _handled_by(interrupt):
        try:
            yield
        except Exception as error:
            if interrupted:
                raise KeyboardInterrupt from error
            raise
        if interrupted:
            raise KeyboardInterrupt


@contextmanager
def interrupt_flag() -> Iterator[Callable[[], bool]]:
    """Note an interrupt of the body and say so; a second one ends the process as above.

    A request to terminate counts as an interrupt: that is what torchrun passes on. Of several processes the leader
    alone speaks. Processes that decode images inherit this: they leave Ctrl-C to the one that started them, which
    still needs them, and end when they are told to terminate.

    Yields:
        a function that says whether the user interrupted.
    """
    asked = threading.Event()
    owner = os.getpid()
    speaks = shard_of_environment().leads

    def note(number: int, _frame: FrameType | None) -> None:
        if os.getpid() != owner:
            if number == signal.SIGTERM:
                os._exit(ExitCode.INTERRUPTED)
            return
        if asked.is_set():
            if speaks:
                _tell("error: interrupted", "with --resume the same command goes on from its last checkpoint, if any")
            _end_children()
            os._exit(ExitCode.INTERRUPTED)
        asked.set()
        if speaks:
            _tell("interrupted: the run stops before its next update", "interrupt again to stop at once")

    with _handled_by(note), _handled_by(note, signal.SIGTERM):
        yield asked.is_set


def end_at_once(code: int) -> NoReturn:
    """End the process and its children without clean-up; what was printed is shown."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    _end_children()
    os._exit(code)


@contextmanager
def _handled_by(handler: _Handler, number: signal.Signals = signal.SIGINT) -> Iterator[None]:
    earlier = signal.getsignal(number)
    # Only the main thread may set handlers; what a shell or nohup told to ignore interrupts goes on ignoring them.
    if threading.current_thread() is not threading.main_thread() or earlier in (signal.SIG_IGN, None):
        yield
        return
    signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, earlier)


def _tell(message: str, hint: str) -> None:
    """Write to stderr itself: the interrupted code may be in the middle of a write to Python's buffers."""
    with suppress(OSError):
        clean = _CLEAN_LINE if os.isatty(2) else ""
        lines = f"{clean}{message}\n" + (f"hint: {hint}\n" if hint else "")
        os.write(2, lines.encode(errors="backslashreplace"))


def _end_children() -> None:
    """End the processes that plan or decode images: without this one they would wait a while for more work."""
    multiprocessing = sys.modules.get("multiprocessing")
    if multiprocessing is not None:
        with suppress(Exception):
            for child in multiprocessing.active_children():
                child.kill()
