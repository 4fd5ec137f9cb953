from __future__ import annotations

from pathlib import Path

import pytest

from asim_fx.exploration.axes import grid, parse_axes
from asim_fx.exploration.plots import _against_axis_shaded, _front, _named, write_plots
from tests.exploration.standins import measure

pytest.importorskip("matplotlib")
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def test_pictures_of_a_grid(tmp_path: Path) -> None:
    axes = parse_axes(["bits=6,7,8,13", "reads=1,3", "how=mode,mean"])
    results = [measure(cell) for cell in grid(axes)]
    files = write_plots(results, axes, "a net on a chip", tmp_path)
    assert {file.name for file in files} == {
        f"{stem}.{kind}"
        for stem in ("accuracy-bits", "accuracy-reads", "front-conversions", "front-energy")
        for kind in ("png", "svg")
    }
    assert all(file.read_bytes()[:4] == b"\x89PNG" for file in files if file.suffix == ".png")
    again = write_plots(results, axes, "a net on a chip", tmp_path / "again")
    assert [file.read_bytes() for file in files] == [file.read_bytes() for file in again]


def test_no_picture_of_too_many_lines_or_of_words(tmp_path: Path) -> None:
    axes = parse_axes(["bits=1:9:9", "reads=1", "how=mode,mean"])
    results = [measure(cell) for cell in grid(axes)]
    names = {file.stem for file in write_plots(results, axes, "", tmp_path)}
    assert names == {"accuracy-bits", "front-energy"}  # nothing differs in conversions; words have no order


def test_a_line_for_each_number_of_another_axis(tmp_path: Path) -> None:
    axes = parse_axes(["bits=5,6,7,8", "reads=1:9:9"])
    results = [measure(cell) for cell in grid(axes)]
    names = {file.stem for file in write_plots(results, axes, "", tmp_path)}
    assert {"accuracy-bits", "accuracy-reads"} <= names
    (shades,) = [axis for axis in axes if axis.path == "reads"]
    figure = _against_axis_shaded(Figure, results, axes[0], shades, "")
    plot, bar = figure.axes
    assert len(plot.containers) == 9
    assert bar.get_ylabel() == "reads"
    assert bar.get_ylim() == (1, 9)


def test_a_front_numbers_its_points_and_lists_them() -> None:
    """Numbers lie in their points, so that they meet neither axes nor title; words are beside the plot."""
    axes = parse_axes(["bits=4:8:5", "reads=1,2,3,4"])
    results = [measure(cell) for cell in grid(axes)]
    figure = _front(Figure, results, "energy", "a net on a chip")
    (plot,) = figure.axes
    (legend,) = figure.legends
    FigureCanvasAgg(figure).draw()
    numbers = [text.get_text() for text in plot.texts]
    assert numbers == [str(place + 1) for place in range(5)]
    assert [text.get_text() for text in legend.get_texts()][-5:] == [f"bits {bits}, reads 4" for bits in range(4, 9)]
    inside = plot.get_window_extent()
    for text in plot.texts:
        box = text.get_window_extent()
        assert inside.contains(box.x0, box.y0)
        assert inside.contains(box.x1, box.y1)
    assert not legend.get_window_extent().overlaps(inside)


def test_a_long_front_names_some_of_its_points() -> None:
    front = [measure((("bits", "8"), ("reads", str(reads)))) for reads in range(1, 31)]
    named = _named(front)
    assert len(named) == 12
    assert (named[0], named[-1]) == (front[0], front[-1])
