"""A results file: one line of JSON for each result, on disk as soon as it is known, and one writer at a time.

The first line says what the results are of. A run that was interrupted leaves whole lines and at most a part of one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from asim_fx.errors import OutputError, UsageError
from asim_fx.locks import lock


@dataclass(frozen=True, slots=True)
class ResultsFile:
    """A results file that is open and locked. What it holds is left as it is until ``start``.

    Attributes:
        path: where it lies.
        command: that writes it, for messages.
        stream: the file, without a buffer, which would try once more to write to a full disk when it is closed.
        lines: what it holds and is to be kept; the first one is the header. Empty where it starts anew.
        complete: bytes of these lines.
    """

    path: Path
    command: str
    stream: BinaryIO
    lines: tuple[Mapping[str, Any], ...]
    complete: int

    def start(self, header: Mapping[str, Any]) -> None:
        """Drop what is not kept, and write the header where there is none.

        Raises:
            OutputError: the disk is full or gone.
        """
        self.stream.truncate(self.complete)
        self.stream.seek(self.complete)
        if not self.lines:
            self.append(header)

    def append(self, value: Mapping[str, Any]) -> None:
        """Write a line; it is on disk when this returns, whatever happens to this process or to the machine.

        Raises:
            OutputError: the disk is full or gone.
        """
        left = _line(value)
        try:
            while left:
                left = left[self.stream.write(left) :]
            os.fsync(self.stream.fileno())
        except OSError as error:
            message = f"cannot write {self.path}: {error.strerror or error}"
            raise OutputError(message, hint="make room; the same command with --resume goes on") from error

    def close(self) -> None:
        """Close the file, which unlocks it."""
        self.stream.close()


def open_results(
    path: Path, command: str, header: Mapping[str, Any], *, resume: bool = False, overwrite: bool = False
) -> ResultsFile:
    """Open a results file and lock it; it is made where there is none.

    Args:
        path: the file.
        command: that writes it.
        header: its first line. A file that was cut off in its first line must be the start of this one.
        resume: whether to keep its whole lines.
        overwrite: whether to throw away what it holds.

    Raises:
        UsageError: the file holds results and neither was asked for, holds something else than results, or another
            process writes to it at this moment.
        OutputError: the file cannot be written.
    """
    stream = _opened(path)
    try:
        if not lock(stream):
            message = f"{path} is in use by another run of {command}"
            raise UsageError(message, hint="wait for it to end, or choose another place")
        data = stream.read()
        if data and not (resume or overwrite):
            raise holds_results(path)
        lines, complete = _whole_lines(path, command, data, header) if resume else ((), 0)
    except BaseException:
        stream.close()
        raise
    return ResultsFile(path, command, stream, lines, complete)


def holds_results(path: Path) -> UsageError:
    """Return the error of a file that holds results, where nothing was said of what to do with them."""
    message = f"{path} already holds results"
    return UsageError(message, hint="--resume goes on with it, --overwrite starts anew")


def not_ours(path: Path, command: str) -> UsageError:
    """Return the error of a file that holds something else."""
    message = f"{path} is not a results file of {command}"
    return UsageError(message, hint="choose another place; --overwrite throws the file away")


def no_result(path: Path, number: int, command: str) -> UsageError:
    """Return the error of a line, counted from 1, that is damaged."""
    message = f"{path}:{number} is no result of {command}"
    return UsageError(message, hint="--overwrite starts anew")


def _opened(path: Path) -> BinaryIO:
    """Open a file to read and to write, whether it exists or not, and leave it as it is."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        return cast(BinaryIO, path.open("rb+", buffering=0))
    except OSError as error:
        message = f"cannot write {path}: {error.strerror or error}"
        raise OutputError(message, hint="choose another place") from error


def _whole_lines(
    path: Path, command: str, data: bytes, header: Mapping[str, Any]
) -> tuple[tuple[Mapping[str, Any], ...], int]:
    """Return what the whole lines of a file hold, and their length in bytes."""
    complete = data.rfind(b"\n") + 1
    if not complete and not _line(header).startswith(data):  # empty, or cut off in its very first line
        raise not_ours(path, command)
    lines = []
    for number, line in enumerate(data[:complete].splitlines(), start=1):
        try:
            value = json.loads(line)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise no_result(path, number, command)
        lines.append(value)
    return tuple(lines), complete


def _line(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value) + "\n").encode()
