"""The results file of a simulation: one line of JSON for each finished batch, written while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple

from asim_fx.errors import UsageError
from asim_fx.results_file import ResultsFile, holds_results, no_result, open_results

Variant = Literal["float", "integer", "hardware"]

COMMAND = "asim-simulate"
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

    def __init__(self, finished: Mapping[BatchKey, BatchResult], file: ResultsFile | None) -> None:
        self.finished = dict(finished)
        self._file = file

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def append(self, result: BatchResult) -> None:
        """Keep a result; it is on disk when this returns, whatever happens to this process or to the machine.

        Raises:
            OutputError: the disk is full or gone.
        """
        self.finished[result.key] = result
        if self._file is not None:
            self._file.append(asdict(result))


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
        UsageError: the file holds results and neither was asked for, it is of another run or something else than a
            results file, or another run writes to it at this moment.
        OutputError: the file cannot be written.
    """
    if path is None:
        return Journal({}, None)
    head = {"format": FORMAT, **header}
    file = open_results(path, COMMAND, head, resume=resume, overwrite=overwrite)
    try:
        for found in file.lines[:1]:
            _check_header(path, found, head)
        finished = [_batch(path, number, line) for number, line in enumerate(file.lines[1:], start=2)]
        file.start(head)
    except BaseException:
        file.close()
        raise
    return Journal({result.key: result for result in finished}, file)


def check_unused(path: Path, *, resume: bool = False, overwrite: bool = False) -> None:
    """Refuse a file that holds results unless they are to be used or thrown away.

    Raises:
        UsageError: it does.
    """
    if path.exists() and path.stat().st_size and not (resume or overwrite):
        raise holds_results(path)


def _batch(path: Path, number: int, line: Mapping[str, Any]) -> BatchResult:
    try:
        return BatchResult(**line)
    except TypeError as error:
        raise no_result(path, number, COMMAND) from error


def _check_header(path: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    differing = [_IN_WORDS.get(key, f"another {key}") for key in wanted if found.get(key) != wanted[key]]
    if differing:
        msg = f"{path} holds the results of another run: {', '.join(differing)}"
        raise UsageError(msg, hint="resume with the options of that run, or use --overwrite or another file")
