"""What static scales and calibrated windows clip, summed up over the sites of a report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

from asim_fx.report.rows import MappingReport, ReportRow

_CLIPPED: Mapping[str, Callable[[ReportRow], float | None]] = {
    "streamed values": lambda row: row.clipped,
    "stored activations": lambda row: row.stored_clipped,
    "MAC values, by converter windows": lambda row: row.window_clipped,
}


@dataclass(frozen=True, slots=True)
class ClippingLine:
    """How much of one kind of value calibration clips.

    Attributes:
        title: what is clipped.
        sites: how many sites have a static scale or a window for it.
        median: share of the values that is clipped at the median site, 0..1.
        largest: the same at the site where it is largest.
        worst: name of that site.
    """

    title: str
    sites: int
    median: float
    largest: float
    worst: str


def clipping_lines(report: MappingReport) -> list[ClippingLine]:
    """Return a line for each kind of value that calibration chose a range for; none for a report without it."""
    lines = []
    for title, share_of in _CLIPPED.items():
        shares = [(value, row.name) for row in report.rows if (value := share_of(row)) is not None]
        if shares:
            largest, worst = max(shares, key=lambda pair: pair[0])
            lines.append(ClippingLine(title, len(shares), median(value for value, _ in shares), largest, worst))
    return lines
