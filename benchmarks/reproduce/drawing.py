"""A figure of the paper drawn again: what was measured here as lines, what the paper has as dashes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.reproduce.paper import Curve

FORMATS = (".svg", ".png", ".pdf")


@dataclass(frozen=True)
class Line:
    """One encoding.

    Attributes:
        label: what it is.
        points: where it was measured.
        own: top-1 in % there; empty where only the paper has it.
        grid: the paper's points.
        paper: its top-1 in %; None where it is at chance; empty where it has no such curve.
    """

    label: str
    points: Sequence[float]
    own: Sequence[float]
    grid: Sequence[float]
    paper: Curve


def draw(lines: Sequence[Line], axis: str, own: str, paper: str, path: Path) -> None:
    """Write the figure; the name's ending says in which format."""
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    mpl.rcParams["svg.hashsalt"] = "reproduce"  # the same drawing gives the same file
    figure = Figure(figsize=(5.5, 3.5), layout="constrained")
    axes = figure.subplots()
    for number, line in enumerate(lines):
        axes.plot(line.points, line.own, f"C{number}o-", label=line.label)
        known = [(at, top1) for at, top1 in zip(line.grid, line.paper, strict=False) if top1 is not None]
        axes.plot([at for at, _ in known], [top1 for _, top1 in known], f"C{number}x--", alpha=0.6)
    axes.set_xlabel(axis)
    axes.set_ylabel("top-1 in %")
    axes.set_ylim(0, 100)
    axes.grid(alpha=0.3)
    kinds = [Line2D([], [], color="black", marker="o", label=own)]
    kinds.append(Line2D([], [], color="black", marker="x", linestyle="--", alpha=0.6, label=paper))
    axes.legend(handles=[*axes.get_legend_handles_labels()[0], *kinds], fontsize=8)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
