"""Curves and the confusion matrix as pictures, by matplotlib where it is installed."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asim_fx.files import write_atomically
from asim_fx.training.epoch_record import EpochRecord

_MOST_NUMBERS = 20
"""Classes up to which each cell of the matrix shows its count."""


def can_draw() -> bool:
    """Return whether matplotlib is there."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return False
    return True


def draw_curves(history: Sequence[EpochRecord], folder: Path) -> None:
    """Write ``curves.png``: losses and accuracies by epoch."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    epochs = [record.epoch for record in history]
    left.plot(epochs, [record.train_loss for record in history], marker=".", label="training")
    measured = [record for record in history if record.top1 is not None]
    at = [record.epoch for record in measured]
    left.plot(at, [record.loss for record in measured], marker=".", label="validation")
    right.plot(at, [record.top1 for record in measured], marker=".", color="C1", label="validation")
    for axes, words in ((left, "loss"), (right, "top-1 in %")):
        axes.set_xlabel("epoch")
        axes.set_ylabel(words)
        axes.grid(alpha=0.3)
        axes.legend()
    _write(figure, folder / "curves.png")


def draw_confusion(table: Sequence[Sequence[int]], folder: Path) -> None:
    """Write ``confusion.png``: right classes down, answers across."""
    from matplotlib.figure import Figure

    size = min(12.0, 2.5 + 0.35 * len(table))
    figure = Figure(figsize=(size, size), layout="constrained")
    axes = figure.subplots()
    shares = [[count / max(1, sum(row)) for count in row] for row in table]
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xlabel("answer")
    axes.set_ylabel("class")
    if len(table) <= _MOST_NUMBERS:
        for row, counts in enumerate(table):
            for column, count in enumerate(counts):
                if count:
                    colour = "white" if shares[row][column] > 0.5 else "black"
                    axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=8)
    _write(figure, folder / "confusion.png")


def _write(figure: Any, path: Path) -> None:
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=120)
    write_atomically(path, picture.getvalue())
