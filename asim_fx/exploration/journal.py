"""The results file of a sweep: one line of JSON for each finished cell, on disk as soon as it is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asim_fx.errors import UsageError
from asim_fx.exploration.axes import Settings
from asim_fx.exploration.cells import CellResult
from asim_fx.results_file import ResultsFile, no_result, not_ours, open_results

COMMAND = "asim-sweep"
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
        file: None keeps cells in memory alone.
    """

    finished: dict[frozenset[tuple[str, str]], CellResult] = field(default_factory=dict)
    file: ResultsFile | None = None

    def get(self, settings: Settings) -> CellResult | None:
        """Return the result of a cell, or None."""
        return self.finished.get(frozenset(settings))

    def append(self, result: CellResult) -> None:
        """Keep a result; it is on disk when this returns, whatever happens to this process or to the machine.

        Raises:
            OutputError: the disk is full or gone.
        """
        self.finished[frozenset(result.settings)] = result
        if self.file is not None:
            self.file.append(result.to_json())


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
            another sweep writes to the file at this moment, or it is something else than a results file.
        OutputError: the file cannot be written.
    """
    if path is None:
        yield CellJournal()
        return
    head = {"what": COMMAND, "format": FORMAT, **header}
    with closing(open_results(path, COMMAND, head, resume=resume, overwrite=overwrite)) as file:
        for found in file.lines[:1]:
            _refuse_foreign(path, found, head)
        cells = [_cell(path, number, line) for number, line in enumerate(file.lines[1:], start=2)]
        file.start(head)
        yield CellJournal({frozenset(cell.settings): cell for cell in cells}, file)


def _cell(path: Path, number: int, line: Mapping[str, Any]) -> CellResult:
    try:
        return CellResult.from_json(line)
    except UsageError as error:
        raise no_result(path, number, COMMAND) from error


def _refuse_foreign(path: Path, found: Mapping[str, Any], header: Mapping[str, Any]) -> None:
    if found.get("what") != header["what"]:
        raise not_ours(path, COMMAND)
    if found.get("format") != header["format"]:
        message = f"{path} was written by another version of asim-fx"
        raise UsageError(message, hint="resume with that version, or use --overwrite or another folder")
    differing = [name for name in header if name != ABOUT and found.get(name) != header[name]]
    if differing:
        there, here = found.get(ABOUT), header.get(ABOUT)
        words = [_difference(name, _said(there, found, name), _said(here, header, name)) for name in differing]
        message = f"{path} holds the results of another sweep: {', and '.join(words)}"
        raise UsageError(message, hint="resume with the options of that sweep, or use --overwrite or another folder")


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
