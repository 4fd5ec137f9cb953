from __future__ import annotations

import csv
import io

import pytest
from rich.console import Console

from asim_fx.exploration.axes import grid, parse_axes
from asim_fx.exploration.cells import OBJECTIVES, CellResult
from asim_fx.exploration.table import results_table, to_csv
from tests.exploration.standins import measure

RESULTS = [measure(cell) for cell in grid(parse_axes(["bits=6,8,13", "reads=1,3"]))]


def test_csv_holds_everything() -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(RESULTS))))
    assert [(row["bits"], row["reads"]) for row in rows] == [
        ("6", "1"),
        ("6", "3"),
        ("8", "1"),
        ("8", "3"),
        ("13", "1"),
        ("13", "3"),
    ]
    assert [row["top1"] for row in rows[:2]] == [str(RESULTS[0].top1), str(RESULTS[1].top1)]
    assert rows[-1]["top1"] == ""
    assert rows[-1]["error"] == "13 bits are too many"


@pytest.mark.parametrize(
    ("names", "front"),
    [
        (("accuracy", "conversions"), [["8", "1"], ["8", "3"]]),
        (("accuracy", "energy"), [["6", "3"], ["8", "3"]]),
        (("accuracy", "conversions", "energy"), [["6", "1"], ["6", "3"], ["8", "1"], ["8", "3"]]),
    ],
)
def test_the_table_marks_the_front_that_was_asked_for(names: tuple[str, ...], front: list[list[str]]) -> None:
    objectives = [OBJECTIVES[name] for name in names]
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(results_table(RESULTS, 120, objectives))
    text = console.export_text()
    lines = [line.split() for line in text.splitlines() if "(" in line]
    assert [line[:2] for line in lines if "*" in line] == front
    assert "cannot be run" in text


def test_settings_differ_between_cells() -> None:
    text = to_csv([CellResult((("a", "1"),), top1=1.0), CellResult((("b", "2"),), top1=2.0)])
    assert [line.split(",")[:2] for line in text.splitlines()] == [["a", "b"], ["1", ""], ["", "2"]]
