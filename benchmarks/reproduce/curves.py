"""Accuracy for each encoding of the activations along one field of the chip, with the paper's curve beside."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence

from benchmarks.reproduce.command import plot_file
from benchmarks.reproduce.drawing import Line, draw
from benchmarks.reproduce.paper import ENCODINGS, NETWORKS, Curve
from benchmarks.reproduce.setup import INPUT_BITS, Setup, markdown, percent


def add_point_options(
    options: argparse.ArgumentParser, points: Sequence[float], unit: Callable[[str], float], what: str
) -> None:
    """Add which points to run, and where to draw them."""
    options.add_argument("--points", type=unit, nargs="+", default=list(points), metavar="X", help=what)
    options.add_argument("--plot", type=plot_file, metavar="FILE", help="draw the curves as .svg, .png or .pdf")


def add_curve_options(
    options: argparse.ArgumentParser, points: Sequence[float], unit: Callable[[str], float], what: str
) -> None:
    """Add which points and encodings to run, and which of the paper's networks to show."""
    add_point_options(options, points, unit, what)
    options.add_argument(
        "--encodings",
        type=int,
        nargs="+",
        default=list(ENCODINGS),
        choices=range(1, INPUT_BITS + 1),
        metavar="BITS",
        help=f"bits of the activation that one read applies, 1 to {INPUT_BITS}",
    )
    options.add_argument("--beside", choices=NETWORKS, default="R18-C10", help="the paper's network to show")


def curves(
    options: argparse.Namespace,
    title: str,
    axis: str,
    grid: Sequence[float],
    paper: Mapping[tuple[str, int], Curve],
    overrides: Callable[[float], tuple[str, ...]],
) -> str:
    """Return the table of a figure.

    Args:
        options: the common ones and those of ``add_curve_options``.
        title: of the figure.
        axis: head of the first column.
        grid: the paper's points.
        paper: its curves, by network and encoding.
        overrides: changes of the chip at a point.
    """
    setup = Setup(options)
    rows = []
    own: dict[int, list[float]] = {encoding: [] for encoding in options.encodings}
    for point in options.points:
        row = [f"{point:g}"]
        for encoding in options.encodings:
            own[encoding].append(setup.top1(*overrides(point), f"defaults.input_encoding={encoding}"))
            curve = paper.get((options.beside, encoding))
            known = curve is not None and point in grid
            beside = percent(curve[list(grid).index(point)]) if known and curve is not None else ""
            row += [percent(own[encoding][-1]), beside]
        rows.append(row)
    head = [axis]
    lines = []
    for encoding in options.encodings:
        words = "bit-serial" if encoding == 1 else f"{encoding} bits a read"
        head += [f"{setup.network}, {words}", f"paper {options.beside}, {words}"]
        lines.append(Line(words, options.points, own[encoding], grid, paper.get((options.beside, encoding), ())))
    if options.plot is not None:
        draw(lines, axis, f"{setup.network}, {setup.data.samples} images", f"paper, {options.beside}", options.plot)
    return setup.heading(title) + "\n" + markdown(head, rows)
