"""The results file of a sweep: one line of JSON for each finished cell, on disk as soon as it is known."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

from asim_fx.errors import OutputError, UsageError
from asim_fx.exploration.axes import Settings
from asim_fx.exploration.cells import CellResult
from asim_fx.locks import lock

FORMAT = 1
ABOUT = "about"
"""Entry of the first line that tells people what is compared; it is not compared itself."""
_LONGEST_VALUE = 40
_IN_WORDS = {
    "model": "another model",
    "weights": "other weights (--checkpoint, --pretrained, or --seed of random ones)",
    "fold_batch_norm": "--fold-batch-norm",
    "data": "other images (--data, --split, --num-samples, --balanced), or otherwise prepared",
    "batch_size": "another --batch-size",
    "spec": "another SPEC",
    "seeds": "other --seeds",
    "device": "another --device",
    "calibration": "other images to calibrate on (--calibrate, --calib-samples, --calib-split)",
}


@dataclass(slots=True)
class CellJournal:
    """Finished cells, in memory and, where there is a file, appended to it at once.

    Attributes:
        finished: by their settings, whatever their order.
        stream: the file; None keeps cells in memory alone.
    """

    finished: dict[frozenset[tuple[str, str]], CellResult] = field(default_factory=dict)
    stream: BinaryIO | None = None

    def get(self, settings: Settings) -> CellResult | None:
        """Return the result of a cell, or None."""
        return self.finished.get(frozenset(settings))

    def append(self, result: CellResult) -> None:
        """Keep a result; it is on disk when this returns, whatever happens to this process or to the machine.

        Raises:
            OutputError: the disk is full or gone.
        """
        self.finished[frozenset(result.settings)] = result
        if self.stream is not None:
            _write_line(self.stream, result.to_json())


@contextmanager
def cell_journal(
    path: Path | None, header: Mapping[str, Any], *, resume: bool = False, overwrite: bool = False
) -> Iterator[CellJournal]:
    """Start a journal, or go on with one.

    Args:
        path: the file; None keeps cells in memory only.
        header: what makes results comparable: the model, its weights, the data, the spec. Plain values. What is under
            ``about`` says the same for people, by the same names.
        resume: whether to go on with what the file holds. A last line that was cut off is dropped, and its cell done
            again.
        overwrite: whether to throw away what it holds.

    Raises:
        UsageError: the file holds results and neither was asked for, they are of another model, data or spec, or
            another sweep writes to the file at this moment.
        OutputError: the file cannot be written.
    """
    if path is None:
        yield CellJournal()
        return
    head = {"what": "asim-sweep", "format": FORMAT, **header}
    with _opened(path) as stream:
        if not lock(stream):
            message = f"{path} is in use by another sweep"
            raise UsageError(message, hint="wait for it to end, or choose another folder with -o")
        data = stream.read()
        if data and not (resume or overwrite):
            message = f"{path} already holds results"
            raise UsageError(message, hint="--resume goes on with it, --overwrite starts anew")
        cells, complete = _parsed(path, data, head) if resume else ([], 0)
        stream.truncate(complete)
        stream.seek(complete)
        if not complete:
            _write_line(stream, head)
        yield CellJournal({frozenset(cell.settings): cell for cell in cells}, stream)


def _opened(path: Path) -> BinaryIO:
    """Open a file to read and to write, whether it exists or not, and leave it as it is.

    Without a buffer, which would try once more to write to a full disk when it is closed.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        return cast(BinaryIO, path.open("rb+", buffering=0))
    except OSError as error:
        message = f"cannot write {path}: {error.strerror or error}"
        raise OutputError(message, hint="choose another place with -o") from error


def _write_line(stream: BinaryIO, value: Mapping[str, Any]) -> None:
    left = _line(value)
    try:
        while left:
            left = left[stream.write(left) :]
        os.fsync(stream.fileno())
    except OSError as error:
        message = f"cannot write {stream.name}: {error.strerror or error}"
        raise OutputError(message, hint="make room; the same command with --resume goes on") from error


def _line(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value) + "\n").encode()


def _parsed(path: Path, data: bytes, header: Mapping[str, Any]) -> tuple[list[CellResult], int]:
    """Return the cells in a file, and the length in bytes of its whole lines."""
    complete = data.rfind(b"\n") + 1
    lines = data[:complete].splitlines()
    if not lines:  # empty, or cut off in its very first line
        if not _line(header).startswith(data):
            raise _not_ours(path, header)
        return [], 0
    found = _parse(path, 1, lines[0])
    _refuse_foreign(path, found, header)
    cells = []
    for number, line in enumerate(lines[1:], start=2):
        try:
            cells.append(CellResult.from_json(_parse(path, number, line)))
        except UsageError as error:
            message = f"{path}:{number} is no result of a sweep"
            raise UsageError(message, hint="--overwrite starts anew") from error
    return cells, complete


def _refuse_foreign(path: Path, found: Mapping[str, Any], header: Mapping[str, Any]) -> None:
    if found.get("what") != header["what"]:
        raise _not_ours(path, header)
    if found.get("format") != header["format"]:
        message = f"{path} was written by another version of asim-fx"
        raise UsageError(message, hint="resume with that version, or use --overwrite or another folder")
    differing = [name for name in header if name != ABOUT and found.get(name) != header[name]]
    if differing:
        there, here = found.get(ABOUT), header.get(ABOUT)
        words = [_difference(name, _said(there, found, name), _said(here, header, name)) for name in differing]
        message = f"{path} holds the results of another sweep: {', and '.join(words)}"
        raise UsageError(message, hint="resume with the options of that sweep, or use --overwrite or another folder")


def _not_ours(path: Path, header: Mapping[str, Any]) -> UsageError:
    message = f"{path} is not a results file of {header['what']}"
    return UsageError(message, hint="use another folder; --overwrite throws the file away")


def _said(about: Any, header: Mapping[str, Any], name: str) -> str:
    """Return what a header has under a name in words; nothing where it holds a hash that has none."""
    if isinstance(about, Mapping) and name in about:
        return str(about[name])
    value = header.get(name)
    plain = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return "none" if value is None else "" if len(plain) > _LONGEST_VALUE else plain


def _difference(name: str, there: str, here: str) -> str:
    words = _IN_WORDS.get(name, name)
    return f"{words} - there: {there}; here: {here}" if there and here and there != here else words


def _parse(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        message = f"{path}:{number} is no result of a sweep"
        raise UsageError(message, hint="--overwrite starts anew")
    return value
