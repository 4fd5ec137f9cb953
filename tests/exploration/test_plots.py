from __future__ import annotations

from pathlib import Path

import pytest

from asim_fx.exploration.axes import grid, parse_axes
from asim_fx.exploration.plots import write_plots
from tests.exploration.standins import measure

pytest.importorskip("matplotlib")


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
