"""Pictures of a sweep, by matplotlib: accuracy against each number that was swept, and Pareto fronts."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asim_fx.exploration.axes import Axis
from asim_fx.exploration.cells import OBJECTIVES, CellResult, pareto_front
from asim_fx.exploration.remarks import why_not_drawn
from asim_fx.files import write_atomically

FORMATS = ("png", "svg")
_MOST_WORDS = 8
"""Points of a front that are named."""
_LABELS = {"conversions": "ADC conversions for one image", "energy": "energy for one image"}
_MOST_INSIDE = 3
"""Lines whose legend lies among them."""
_LESS = {"conversions": "fewer conversions", "energy": "less energy"}
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31")
"""Okabe and Ito's, which colour-blind readers tell apart; the markers and dashes differ as well."""
_MARKERS = "os^Dv<>P"
_DASHES = ("-", "--", "-.", ":")
_AXIS_LABELS = {
    "random_percent_fs": "random noise, % of full scale",
    "nonlinear_percent_fs": "nonlinear noise, % of full scale",
    "random_lsb_rms": "random noise, LSB rms",
    "adc.bits": "ADC bits",
    "input_encoding": "input bits of one read",
    "hybrid.levels": "digital levels",
    "vote.samples": "reads of a voted cycle",
    "rows": "rows",
}


def write_plots(results: Sequence[CellResult], axes: Sequence[Axis], title: str, folder: Path) -> list[Path]:
    """Write every picture that the results allow, as PNG and SVG, and return the files. Needs matplotlib.

    Accuracy against an axis: where it has several numbers and the other axes make at most eight lines. A front:
    where conversions, or energy, differ between cells.

    Raises:
        OutputError: a file cannot be written.
    """
    from matplotlib.figure import Figure

    measured = [result for result in results if result.top1 is not None]
    figures: dict[str, Any] = {}
    for axis in axes:
        if not why_not_drawn(results, axis):
            figures[f"accuracy-{_file_word(axis.path)}"] = _against_axis(Figure, measured, axis, title)
    for name in ("conversions", "energy"):
        if len({OBJECTIVES[name].of(result) for result in measured} - {None}) > 1:
            figures[f"front-{name}"] = _front(Figure, measured, name, title)
    return [path for name, figure in figures.items() for path in _write(figure, folder / name)]


def _families(results: Sequence[CellResult], axis: Axis) -> dict[str, list[CellResult]]:
    """Return the cells that differ in this axis alone, by the rest of their settings in words."""
    varying = _varying(results)
    families: dict[str, list[CellResult]] = {}
    for result in results:
        rest = [f"{_short(path)} {value}" for path, value in result.settings if path != axis.path and path in varying]
        families.setdefault(", ".join(rest), []).append(result)
    return families


def _varying(results: Sequence[CellResult]) -> set[str]:
    seen: dict[str, set[str]] = {}
    for result in results:
        for path, value in result.settings:
            seen.setdefault(path, set()).add(value)
    return {path for path, values in seen.items() if len(values) > 1}


def _against_axis(make: Any, results: Sequence[CellResult], axis: Axis, title: str) -> Any:
    families = _families(results, axis)
    crowded = len(families) > _MOST_INSIDE
    figure = make(figsize=(8.6 if crowded else 6.4, 4.2), layout="constrained")
    plot = figure.subplots()
    number = dict(zip(axis.values, axis.numbers or (), strict=True))
    for place, (label, family) in enumerate(families.items()):
        cells = sorted(family, key=lambda cell: number[dict(cell.settings)[axis.path]])
        x = [number[dict(cell.settings)[axis.path]] for cell in cells]
        style = {"color": _COLOURS[place], "marker": _MARKERS[place], "linestyle": _DASHES[place % len(_DASHES)]}
        _with_intervals(plot, x, cells, markersize=4, linewidth=1.4, label=label or "simulated hardware", **style)
    integer = {cell.integer_top1 for cell in results}
    if len(integer) == 1:
        plot.axhline(next(iter(integer)), color="grey", linewidth=1, label="ideal integer model")
    plot.set(xlabel=_axis_label(axis.path), ylabel=_accuracy_label(results), title=title)
    if all(value.is_integer() for value in number.values()):
        plot.set_xticks(sorted(number.values()))
    if crowded:
        figure.legend(loc="outside right upper", fontsize="small")
    else:
        plot.legend(fontsize="small")
    plot.grid(alpha=0.3)
    return figure


def _front(make: Any, results: Sequence[CellResult], name: str, title: str) -> Any:
    from matplotlib.ticker import EngFormatter

    figure = make(figsize=(6.4, 4.2), layout="constrained")
    plot = figure.subplots()
    cost = OBJECTIVES[name]
    known = [result for result in results if cost.of(result) is not None]
    front = sorted(pareto_front(known, (OBJECTIVES["accuracy"], cost)), key=lambda result: cost.of(result) or 0)
    plot.scatter(
        [cost.of(cell) for cell in known], [cell.top1 for cell in known], s=14, color="grey", label="other cells"
    )
    x = [cost.of(cell) or 0.0 for cell in front]
    what = f"Pareto front: no cell has more accuracy\nfor {_LESS[name]}"
    _with_intervals(
        plot, x, front, color=_COLOURS[1], marker="o", markersize=5, linewidth=1.2, label=what, drawstyle="steps-post"
    )
    varying = _varying(known)
    middle = (min(x) + max(x)) / 2 if x else 0
    for cell in front[:_MOST_WORDS]:
        words = "\n".join(f"{_short(path)} {value}" for path, value in cell.settings if path in varying)
        at = cost.of(cell) or 0
        offset, side = ((4, -4), "left") if at <= middle else ((-4, -4), "right")
        box = {"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.75}
        place = {"textcoords": "offset points", "va": "top", "ha": side}
        plot.annotate(words, (at, cell.top1), offset, fontsize=6, bbox=box, **place)
    plot.xaxis.set_major_formatter(EngFormatter("J" if name == "energy" else ""))
    plot.set(xlabel=_LABELS[name], ylabel=_accuracy_label(results), title=title)
    plot.legend(fontsize="small", loc="lower right")
    plot.grid(alpha=0.3)
    return figure


def _with_intervals(plot: Any, x: Sequence[float], cells: Sequence[CellResult], **style: Any) -> None:
    below = [(cell.top1 or 0) - (cell.top1_low or 0) for cell in cells]
    above = [(cell.top1_high or 0) - (cell.top1 or 0) for cell in cells]
    y = [cell.top1 for cell in cells]
    plot.errorbar(x, y, yerr=[below, above], capsize=2.5, elinewidth=0.8, **style)


def _accuracy_label(results: Sequence[CellResult]) -> str:
    """Say what is drawn, and what the bars are over."""
    intervals = {result.interval for result in results if result.interval}
    return f"top-1, % (95 % interval over {intervals.pop()})" if len(intervals) == 1 else "top-1, % (95 % interval)"


def _write(figure: Any, stem: Path) -> list[Path]:
    from matplotlib import rc_context

    paths = []
    for kind in FORMATS:
        content = io.BytesIO()
        metadata = {"Date": None} if kind == "svg" else {"Software": None}
        with rc_context({"svg.hashsalt": "asim-fx"}):  # the same results give the same file
            figure.savefig(content, format=kind, dpi=150, metadata=metadata)
        path = stem.with_name(f"{stem.name}.{kind}")
        write_atomically(path, content.getvalue())
        paths.append(path)
    return paths


def _axis_label(path: str) -> str:
    return next((label for end, label in _AXIS_LABELS.items() if path == end or path.endswith(f".{end}")), path)


def _short(path: str) -> str:
    return ".".join(path.removeprefix("defaults.").split(".")[-2:])


def _file_word(path: str) -> str:
    return path.replace(".", "-").replace("/", "-")
