"""Stand-ins for a measurement: results that follow from the settings alone."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

from asim_fx.errors import DataError
from asim_fx.exploration.axes import Settings
from asim_fx.exploration.cells import CellResult


def measure(settings: Settings) -> CellResult:
    """Accuracy grows with bits, conversions with reads."""
    words = dict(settings)
    bits, reads = int(words.get("bits", 8)), float(words.get("reads", 1))
    if bits == 13:
        return CellResult(settings, error="13 bits are too many")
    if bits == 99:
        raise DataError("there are no images")
    top1 = 100 - 2.0 ** (8 - bits) / reads
    return CellResult(settings, top1, top1 - 1, top1 + 1, "stand-in", 100.0, 99.5, 10, int(1000 * reads), bits * 1e-9)


def prepare() -> Callable[[Settings], CellResult]:
    return measure


def dies_at_the_start() -> Callable[[Settings], CellResult]:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


class Fragile:
    """Kills its process the first time it meets some cell."""

    def __init__(self, folder: Path, times: int = 1) -> None:
        self.folder, self.times = folder, times

    def __call__(self) -> Callable[[Settings], CellResult]:
        return self.evaluate

    def evaluate(self, settings: Settings) -> CellResult:
        words = dict(settings)
        (self.folder / f"{words['bits']}-{os.getpid()}").touch()
        marks = [self.folder / f"died-{time}" for time in range(self.times)]
        left = [mark for mark in marks if not mark.exists()]
        if words["bits"] == "6" and left:
            left[0].touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return measure(settings)

    def __hash__(self) -> int:
        return hash((self.folder, self.times))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fragile) and self.folder == other.folder
