"""Tables that fit their terminal without cutting a figure: texts go on in the next line, or whole columns give way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

_BETWEEN = 3
"""Characters between two columns; the edges of the table take one less in all."""
_LEAST_TEXT = 6
_BREAKS_AFTER = " ./_-,:;"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table that fits.

    Attributes:
        title: in the first line.
        cells: one for each row.
        rank: the columns of the highest rank give way first; those of rank 0 stay.
        total: in the last line.
        right: whether figures are aligned on the right.
        least: width down to which its texts may go on in further lines; None for what is never broken.
        styles: of the cells; empty for none.
    """

    title: str
    cells: Sequence[str]
    rank: int = 0
    total: str = ""
    right: bool = False
    least: int | None = None
    styles: Sequence[str] = ()

    @property
    def width(self) -> int:
        """Characters of its longest line."""
        return max(len(line) for text in (self.title, self.total, *self.cells) for line in text.split("\n"))

    @property
    def least_width(self) -> int:
        """Characters that it needs."""
        return self.width if self.least is None else min(self.width, max(self.least, len(self.title)))


def fitted_table(columns: Sequence[Column], width: int, *, title: str = "", elsewhere: str = "") -> RenderableType:
    """Return a table of at most ``width`` characters, and below it which columns gave way.

    Figures are never cut: where those of rank 0 alone do not fit, it is wider.

    Args:
        columns: with as many cells each.
        width: characters of a line.
        title: above the table.
        elsewhere: where the columns that gave way can be seen.
    """
    kept, left_out = _that_fit(columns, width)
    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_footer=any(column.total for column in kept),
        title=title or None,
        title_justify="left",
        title_style="bold",
    )
    rows: list[list[Text]] = []
    for column, given in zip(kept, _widths(kept, width), strict=True):
        table.add_column(
            fold(column.title, given),
            fold(column.total, given),
            justify="right" if column.right else "left",
            no_wrap=True,
            min_width=given,
        )
        styles = column.styles or [""] * len(column.cells)
        rows.append([Text(fold(cell, given), style) for cell, style in zip(column.cells, styles, strict=True)])
    for cells in zip(*rows, strict=True):
        table.add_row(*cells)
    if not left_out:
        return table
    words = f"Left out to fit {width} characters: {', '.join(left_out)}" + (f"; {elsewhere}" if elsewhere else "")
    return Group(table, Text(words + "\n", style="dim"))


def fold(text: str, width: int) -> str:
    """Return a text in lines of at most ``width`` characters, all of it: broken after words and parts of names."""
    return "\n".join(folded for line in text.split("\n") for folded in _lines(line, width))


def _lines(text: str, width: int) -> list[str]:
    lines: list[str] = []
    while len(text) > width:
        if " " in text[: width + 1].strip():
            end = text.rindex(" ", 0, width + 1) + 1
        else:
            end = max((text.rfind(mark, 0, width) + 1 for mark in _BREAKS_AFTER), default=0) or width
        lines.append(text[:end].rstrip(" "))
        text = text[end:]
    return [*lines, text]


def _that_fit(columns: Sequence[Column], width: int) -> tuple[list[Column], list[str]]:
    kept = list(columns)
    while _needed(kept) > width and any(column.rank for column in kept):
        kept.remove(max(kept, key=lambda column: column.rank))
    return kept, [column.title for column in columns if column not in kept]


def _widths(columns: Sequence[Column], width: int) -> list[int]:
    """Share a line among columns: what is to spare goes to the first ones, what is missing the widest texts lack."""
    widths = [column.least_width for column in columns]
    spare = width - _needed(columns)
    for number, column in enumerate(columns):
        more = max(0, min(spare, column.width - widths[number]))
        widths[number] += more
        spare -= more
    texts = [number for number, column in enumerate(columns) if column.least is not None]
    while spare < 0 and any(widths[number] > _LEAST_TEXT for number in texts):
        widths[max(texts, key=lambda number: widths[number])] -= 1
        spare += 1
    return widths


def _needed(columns: Sequence[Column]) -> int:
    return sum(column.least_width + _BETWEEN for column in columns) - 1
