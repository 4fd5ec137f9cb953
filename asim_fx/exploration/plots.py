"""Pictures of a sweep, by matplotlib: accuracy against each number that was swept, and Pareto fronts."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

from asim_fx.exploration.axes import Axis
from asim_fx.exploration.cells import OBJECTIVES, CellResult, pareto_front
from asim_fx.exploration.remarks import MOST_LINES, shading_axis, why_not_drawn
from asim_fx.files import write_atomically

FORMATS = ("png", "svg")
_MOST_WORDS = 12
"""Points of a front that are named."""
_LINE = 44
"""Characters of a line that names a point."""
_MOST_IN_WORDS = 4
"""Such lines for one point."""
_FREE = 0.06
"""Of the height, left free above and below the points."""
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

    Accuracy against an axis: where it has several numbers and the other axes make at most eight lines, or where the
    only other axis is a number too, which the colour then shows. A front: where conversions, or energy, differ.

    Raises:
        OutputError: a file cannot be written.
    """
    from matplotlib.figure import Figure

    measured = [result for result in results if result.top1 is not None]
    figures: dict[str, Any] = {}
    for axis in axes:
        if not why_not_drawn(results, axes, axis):
            shades = shading_axis(axes, axis)
            figure = (
                _against_axis(Figure, measured, axis, title)
                if shades is None or len(_families(measured, axis)) <= MOST_LINES
                else _against_axis_shaded(Figure, measured, axis, shades, title)
            )
            figures[f"accuracy-{_file_word(axis.path)}"] = figure
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
    for place, (label, family) in enumerate(families.items()):
        x, cells = _along(family, axis)
        style = {"color": _COLOURS[place], "marker": _MARKERS[place], "linestyle": _DASHES[place % len(_DASHES)]}
        _with_intervals(plot, x, cells, markersize=4, linewidth=1.4, label=label or "simulated hardware", **style)
    _finish_axis(plot, results, axis, title)
    if crowded:
        figure.legend(loc="outside right upper", fontsize="small")
    else:
        plot.legend(fontsize="small")
    return figure


def _against_axis_shaded(make: Any, results: Sequence[CellResult], axis: Axis, shades: Axis, title: str) -> Any:
    """Draw one line for each number of another axis, which its colour shows."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    figure = make(figsize=(7.4, 4.2), layout="constrained")
    plot = figure.subplots()
    numbers = _numbers(shades)
    least, most = min(numbers.values()), max(numbers.values())
    colours = colormaps["viridis"]
    scale = Normalize(least, most + (most - least) / 9)  # without the palest tenth, which cannot be seen on white
    for family in _families(results, axis).values():
        x, cells = _along(family, axis)
        colour = colours(scale(numbers[dict(cells[0].settings)[shades.path]]))
        _with_intervals(plot, x, cells, color=colour, marker="o", markersize=3, linewidth=1.2)
    _finish_axis(plot, results, axis, title)
    bar = figure.colorbar(ScalarMappable(scale, colours), ax=plot, label=_axis_label(shades.path))
    bar.ax.set_ylim(least, most)
    if plot.get_legend_handles_labels()[1]:
        plot.legend(fontsize="small")
    return figure


def _numbers(axis: Axis) -> dict[str, float]:
    """Return each value of an axis as a number."""
    return dict(zip(axis.values, axis.numbers or (), strict=True))


def _along(family: Sequence[CellResult], axis: Axis) -> tuple[list[float], list[CellResult]]:
    """Return the numbers of an axis in rising order, and their cells."""
    number = _numbers(axis)
    cells = sorted(family, key=lambda cell: number[dict(cell.settings)[axis.path]])
    return [number[dict(cell.settings)[axis.path]] for cell in cells], cells


def _finish_axis(plot: Any, results: Sequence[CellResult], axis: Axis, title: str) -> None:
    integer = {cell.integer_top1 for cell in results}
    if len(integer) == 1:
        plot.axhline(next(iter(integer)), color="grey", linewidth=1, label="ideal integer model")
    plot.set(xlabel=_axis_label(axis.path), ylabel=_accuracy_label(results), title=title)
    number = _numbers(axis)
    if all(value.is_integer() for value in number.values()):
        plot.set_xticks(sorted(number.values()))
    plot.grid(alpha=0.3)


def _front(make: Any, results: Sequence[CellResult], name: str, title: str) -> Any:
    """Draw all cells, and number those of the front; the numbers stand for settings in a list at the right."""
    from matplotlib.ticker import EngFormatter

    figure = make(figsize=(9.2, 4.4), layout="constrained")
    plot = figure.subplots()
    cost = OBJECTIVES[name]
    known = [result for result in results if cost.of(result) is not None]
    front = sorted(pareto_front(known, (OBJECTIVES["accuracy"], cost)), key=lambda result: cost.of(result) or 0)
    others = plot.scatter(
        [cost.of(cell) for cell in known], [cell.top1 for cell in known], s=14, color="grey", label="other cells"
    )
    x = [cost.of(cell) or 0.0 for cell in front]
    what = f"Pareto front: no cell has more accuracy\nfor {_LESS[name]}"
    line = _with_intervals(
        plot, x, front, color=_COLOURS[1], marker="o", markersize=9, linewidth=1.2, label=what, drawstyle="steps-post"
    )
    listed = [others, line]
    varying = _varying(known)
    for number, cell in enumerate(_named(front), start=1):
        place = {"ha": "center", "va": "center_baseline", "color": "white", "fontsize": 6, "zorder": 5}
        plot.annotate(str(number), (cost.of(cell) or 0, cell.top1), **place)
        words = ", ".join(f"{_short(path)} {value}" for path, value in cell.settings if path in varying)
        folded = "\n".join(wrap(words, _LINE, max_lines=_MOST_IN_WORDS, placeholder=" …"))
        listed += plot.plot([], [], linestyle="none", marker=f"${number}$", color=_COLOURS[1], label=folded)
    plot.xaxis.set_major_formatter(EngFormatter("J" if name == "energy" else ""))
    plot.set(xlabel=_LABELS[name], ylabel=_accuracy_label(results), title=title)
    plot.margins(y=_FREE)
    figure.legend(handles=listed, loc="outside right upper", fontsize="small")
    lines = sum(handle.get_label().count("\n") + 1 for handle in listed)
    figure.set_figheight(max(4.4, 0.19 * lines + 0.4))
    plot.grid(alpha=0.3)
    return figure


def _named(front: Sequence[CellResult]) -> list[CellResult]:
    """Return the points of a front that are named: all, or some that are evenly spread, the ends among them."""
    if len(front) <= _MOST_WORDS:
        return list(front)
    return [front[round(place * (len(front) - 1) / (_MOST_WORDS - 1))] for place in range(_MOST_WORDS)]


def _with_intervals(plot: Any, x: Sequence[float], cells: Sequence[CellResult], **style: Any) -> Any:
    below = [(cell.top1 or 0) - (cell.top1_low or 0) for cell in cells]
    above = [(cell.top1_high or 0) - (cell.top1 or 0) for cell in cells]
    y = [cell.top1 for cell in cells]
    return plot.errorbar(x, y, yerr=[below, above], capsize=2.5, elinewidth=0.8, **style)


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
