"""The standard streams of a command: a reader that leaves, a full disk and a poor encoding are not defects."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO, cast

from asim_fx.errors import OutputError


class ReaderGoneError(Exception):
    """The reader of a pipe left; what it wanted it has.

    No OSError: rich and typer make an exit code of their own of a broken pipe.
    """


@contextmanager
def safe_streams() -> Iterator[None]:
    """Replace the standard streams while the body runs, and flush them.

    A character that the encoding of a stream lacks becomes a question mark. What stderr cannot take is dropped.

    Raises:
        ReaderGoneError: the reader of stdout left.
        OutputError: stdout cannot be written.
    """
    earlier = sys.stdout, sys.stderr
    sys.stdout = cast(TextIO, _Results(_opened(sys.stdout)))
    sys.stderr = cast(TextIO, _Messages(_opened(sys.stderr)))
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except (ReaderGoneError, OutputError):
        # Python flushes what is left once more when it ends, which would fail again.
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), earlier[0].fileno())
        raise
    finally:
        sys.stdout, sys.stderr = earlier


def write_document(text: str) -> None:
    """Write what a program is to read: as UTF-8 where the encoding of stdout lacks a character of it."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        if isinstance(sys.stdout, _Results) and sys.stdout.write_bytes(text.encode("utf-8", "replace")):
            return
    sys.stdout.write(text)


def _opened(stream: TextIO | None) -> TextIO:
    """Return a stream that can be written, as far as that can be known: a closed one is None to Python."""
    if stream is None:
        return Path(os.devnull).open("w", encoding="utf-8")
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")
    return stream


class _Results:
    """Standard output."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with _named_failures():
            return self._stream.write(text)

    def write_bytes(self, data: bytes) -> bool:
        """Write encoded text; return whether the stream takes any."""
        buffer = getattr(self._stream, "buffer", None)
        if buffer is None:
            return False
        with _named_failures():
            self._stream.flush()
            buffer.write(data)
        return True

    def flush(self) -> None:
        with _named_failures():
            self._stream.flush()


class _Messages:
    """Standard error."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


@contextmanager
def _named_failures() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        raise ReaderGoneError from error
    except OSError as error:
        message = f"cannot write to standard output: {error.strerror or error}"
        raise OutputError(message) from error
