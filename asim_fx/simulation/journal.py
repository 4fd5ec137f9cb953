"""The results file of a simulation: one line of JSON for each finished batch, written while it runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Literal, NamedTuple, cast

from asim_fx.errors import OutputError, UsageError

Variant = Literal["float", "integer", "hardware"]

FORMAT = 1
_IN_WORDS = {
    "format": "of another version of asim-fx",
    "spec": "another hardware spec",
    "model_identity": "other weights or settings",
    "data_identity": "other images (--data, --split, --num-samples, --balanced)",
    "batch_size": "another --batch-size",
    "device": "another --device",
}


class BatchKey(NamedTuple):
    """Which piece of a simulation: what was run, with which noise and die (None: without), on which batch."""

    variant: Variant
    seed: int | None
    die: int | None
    batch: int


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What came out of one batch.

    Attributes:
        variant: ``float`` model, ideal ``integer`` model or simulated ``hardware``.
        seed: of the noise; None without noise.
        batch: number of the batch.
        images: images in it.
        top1: of these, with the right class first.
        top5: with the right class among the first five; None where the model has five classes or fewer.
        seconds: of the forward pass.
        die: the chip; None where the seed stands for it too.
    """

    variant: Variant
    seed: int | None
    batch: int
    images: int
    top1: int
    top5: int | None
    seconds: float
    die: int | None = None

    @property
    def key(self) -> BatchKey:
        """Which piece of the simulation this is."""
        return BatchKey(self.variant, self.seed, self.die, self.batch)


class Journal:
    """Finished batches, kept in memory and, where there is a file, appended to it at once.

    Use as a context manager. The first line says what was simulated on what; a file of another run is refused.

    Attributes:
        finished: what is already there.
    """

    def __init__(self, finished: Mapping[BatchKey, BatchResult], stream: BinaryIO | None) -> None:
        self.finished = dict(finished)
        self._stream = stream

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is not None:
            self._stream.close()

    def append(self, result: BatchResult) -> None:
        """Keep a result; it is on disk when this returns.

        Raises:
            OutputError: the disk is full or gone.
        """
        self.finished[result.key] = result
        if self._stream is not None:
            _write_line(self._stream, asdict(result))


def open_journal(
    path: Path | None, header: Mapping[str, Any], *, resume: bool = False, overwrite: bool = False
) -> Journal:
    """Start a journal, or go on with one.

    Args:
        path: the file; None keeps results in memory only.
        header: what makes a run this run: plain values, compared with those of the file.
        resume: whether to go on with what the file holds. A last line that was cut off is dropped.
        overwrite: whether to throw away what the file holds.

    Raises:
        UsageError: the file holds results and neither was asked for, or it is of another run.
        OutputError: the file cannot be written.
    """
    if path is None:
        return Journal({}, None)
    head = {"format": FORMAT, **header}
    try:
        check_unused(path, resume=resume, overwrite=overwrite)
        if resume and _holds_results(path):
            finished, complete = _read(path, head)
            stream = _unbuffered(path, "rb+")
            stream.truncate(complete)
            stream.seek(complete)
        else:
            finished, complete = {}, 0
            path.parent.mkdir(parents=True, exist_ok=True)
            stream = _unbuffered(path, "wb")
    except OSError as error:
        msg = f"cannot write {path}: {error.strerror or error}"
        raise OutputError(msg) from error
    if complete == 0:
        _write_line(stream, head)
    return Journal(finished, stream)


def check_unused(path: Path, *, resume: bool = False, overwrite: bool = False) -> None:
    """Refuse a file that holds results unless they are to be used or thrown away.

    Raises:
        UsageError: it does.
    """
    if _holds_results(path) and not (resume or overwrite):
        msg = f"{path} already holds results"
        raise UsageError(msg, hint="--resume goes on with it, --overwrite starts anew")


def _holds_results(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def _unbuffered(path: Path, mode: str) -> BinaryIO:
    """Open a file without a buffer, which would try once more to write to a full disk when it is closed."""
    return cast(BinaryIO, path.open(mode, buffering=0))


def _write_line(stream: BinaryIO, value: Mapping[str, Any]) -> None:
    left = (json.dumps(value) + "\n").encode()
    try:
        while left:
            left = left[stream.write(left) :]
    except OSError as error:
        msg = f"cannot write {stream.name}: {error.strerror or error}"
        raise OutputError(msg) from error


def _read(path: Path, header: Mapping[str, Any]) -> tuple[dict[BatchKey, BatchResult], int]:
    """Return the results in a file, and the length in bytes of its whole lines."""
    data = path.read_bytes()
    complete = data.rfind(b"\n") + 1
    lines = data[:complete].splitlines()
    if not lines:  # cut off in its very first line
        return {}, 0
    _check_header(path, _parse(path, 1, lines[0]), header)
    finished: dict[BatchKey, BatchResult] = {}
    for number, line in enumerate(lines[1:], start=2):
        try:
            result = BatchResult(**_parse(path, number, line))
        except TypeError as error:
            msg = f"{path}:{number} is no result of a simulation"
            raise UsageError(msg) from error
        finished[result.key] = result
    return finished, complete


def _parse(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError as error:
        msg = f"{path}:{number} is not JSON"
        raise UsageError(msg, hint="--overwrite starts anew") from error
    if not isinstance(value, dict):
        msg = f"{path}:{number} is no result of a simulation"
        raise UsageError(msg, hint="--overwrite starts anew")
    return value


def _check_header(path: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    differing = [_IN_WORDS.get(key, f"another {key}") for key in wanted if found.get(key) != wanted[key]]
    if differing:
        msg = f"{path} holds the results of another run: {', '.join(differing)}"
        raise UsageError(msg, hint="resume with the options of that run, or use --overwrite or another file")
