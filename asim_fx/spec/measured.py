"""Measured tables that a spec names: CSV files, checked line by line when the spec is loaded."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from asim_fx.errors import SpecIssue

STATISTICS_HEADER = ("mac", "mean", "sigma")
CODES_HEADER = ("code", "threshold_lsb")
_MOST_ISSUES = 5


@dataclass(frozen=True, slots=True)
class MeasuredFile:
    """A measured table.

    Attributes:
        text: the file, verbatim.
        columns: its columns of values, without the first, which only counts.
    """

    text: str
    columns: tuple[tuple[float, ...], ...]


def parse_statistics(text: str, name: str, field: str) -> MeasuredFile | list[SpecIssue]:
    """Read ``mac,mean,sigma``: one line for each MAC value, from 0.

    Returns:
        the columns mean and sigma, or all that is wrong, with file and line.
    """

    def check(values: Sequence[float], before: Sequence[float] | None) -> str:
        return f"sigma is negative: {values[1]:g}" if values[1] < 0 else ""

    return _parse(text, name, field, STATISTICS_HEADER, 0, check)


def parse_codes(text: str, name: str, field: str) -> MeasuredFile | list[SpecIssue]:
    """Read ``code,threshold_lsb``: one line for each code, from 1, levels that do not fall.

    Returns:
        the column of levels, or all that is wrong, with file and line.
    """

    def check(values: Sequence[float], before: Sequence[float] | None) -> str:
        if before is not None and values[0] < before[0]:
            return f"levels must not fall: {values[0]:g} comes after {before[0]:g}"
        return ""

    return _parse(text, name, field, CODES_HEADER, 1, check)


def _parse(
    text: str,
    name: str,
    field: str,
    header: Sequence[str],
    first: int,
    check: Callable[[Sequence[float], Sequence[float] | None], str],
) -> MeasuredFile | list[SpecIssue]:
    lines = list(_lines(text))
    wanted = ",".join(header)
    if not lines or tuple(cell.strip() for cell in lines[0][1]) != tuple(header):
        found = ",".join(lines[0][1]) if lines else "nothing"
        return [SpecIssue(f"{name}:1", field, f"the first line must be `{wanted}`, not `{found}`")]
    issues: list[SpecIssue] = []
    rows: list[tuple[float, ...]] = []
    for number, cells in lines[1:]:
        values, problem = _values(cells, header, first + len(rows))
        problem = problem or check(values[1:], rows[-1] if rows else None)
        if problem:
            issues.append(SpecIssue(f"{name}:{number}", field, problem))
            if len(issues) == _MOST_ISSUES or len(values) < len(header):
                break
        rows.append(tuple(values[1:]))
    if not issues and len(rows) < 2 - first:
        issues.append(SpecIssue(f"{name}:{len(lines)}", field, "the file ends too early: it has no values"))
    return issues or MeasuredFile(text, tuple(zip(*rows, strict=True)))


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        if line.strip():
            yield number, line.strip().split(",")


def _values(cells: Sequence[str], header: Sequence[str], expected: int) -> tuple[list[float], str]:
    """Return the numbers of a line, and what is wrong with them; no numbers where they cannot be read."""
    if len(cells) != len(header):
        return [], f"there must be {len(header)} values ({', '.join(header)}), not {len(cells)}"
    try:
        values = [float(cell) for cell in cells]
    except ValueError:
        return [], f"these are no numbers: {','.join(cells)}"
    for title, value in zip(header, values, strict=True):
        if not math.isfinite(value):
            return values, f"{title} is no finite number: {value}"
    if values[0] != expected:
        return values, f"{header[0]} must be {expected}, not {cells[0].strip()}: no value may be left out or repeated"
    return values, ""
