"""Curves and the confusion matrix as pictures, by matplotlib where it is installed."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asim_fx.files import write_atomically
from asim_fx.training.epoch_record import FIDELITY_WORDS, EpochRecord

_MOST_NUMBERS = 20
"""Classes up to which each cell of the matrix shows its count."""
_MOST_NAMES = 60
"""Classes up to which each of them is named at the axes."""


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
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(9, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    plain = all(record.train_cross_entropy is not None for record in history if record.epoch)
    words = "training, before each update" if plain else "training, mixed images, with smoothing and penalties"
    _line(left, history, "train_cross_entropy" if plain else "train_loss", words, "C0")
    validated = f"validation, {FIDELITY_WORDS[history[-1].fidelity]}" if history else "validation"
    _line(left, history, "loss", validated, "C1")
    _line(right, history, "train_top1", words, "C0")
    _line(right, history, "top1", validated, "C1")
    for axes, name in ((left, "cross-entropy" if plain else "loss"), (right, "top-1 in %")):
        axes.set_xlabel("epoch")
        axes.set_ylabel(name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend()
    right.set_ylim(top=min(100.0, right.get_ylim()[1]))
    _write(figure, folder / "curves.png")


def draw_confusion(table: Sequence[Sequence[int]], folder: Path, names: Sequence[str]) -> None:
    """Write ``confusion.png``: right classes down, answers across.

    Args:
        table: counts.
        folder: where.
        names: of the classes.
    """
    from matplotlib.figure import Figure

    size = min(12.0, 2.5 + 0.35 * len(table))
    figure = Figure(figsize=(size, size), layout="constrained")
    axes = figure.subplots()
    shares = [[count / max(1, sum(row)) for count in row] for row in table]
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xlabel("answer")
    axes.set_ylabel("class")
    if len(table) <= _MOST_NAMES:
        axes.set_xticks(range(len(table)), names, rotation=90 if max(map(len, names)) > 2 else 0)
        axes.set_yticks(range(len(table)), names)
    if len(table) <= _MOST_NUMBERS:
        for row, counts in enumerate(table):
            for column, count in enumerate(counts):
                if count:
                    colour = "white" if shares[row][column] > 0.5 else "black"
                    axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=8)
    _write(figure, folder / "confusion.png")


def _line(axes: Any, history: Sequence[EpochRecord], field: str, words: str, colour: str) -> None:
    """Draw a number of every epoch that has it."""
    points = [(record.epoch, getattr(record, field)) for record in history if getattr(record, field) is not None]
    if points:
        axes.plot(*zip(*points, strict=True), marker=".", label=words, color=colour, clip_on=False)


def _write(figure: Any, path: Path) -> None:
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=120)
    write_atomically(path, picture.getvalue())
