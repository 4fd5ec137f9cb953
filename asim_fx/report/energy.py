"""Where the energy of a mapping goes, as bars of sites and of groups of sites that a drawing can hold."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from asim_fx.report.modules import by_module
from asim_fx.report.rows import MappingReport, ReportRow

VOTES = "votes"
"""Reads of a voted cell beyond its first one: a share of the parts that a read costs."""
_READING = ("column", "adc", "array")
BAR_PARTS = ("column", "adc", "array", VOTES, "accumulation", "digital", "loading")
MOST_BARS = 30
SMALL = 0.005
"""Of all energy; bars below it are put together where there are many."""
_FEW = 12


@dataclass(frozen=True, slots=True)
class EnergyBar:
    """The energy of one site, or of some sites together, for one image.

    Attributes:
        name: qualified name of the site, or what the group is called.
        sites: how many sites it is.
        parts: part (see BAR_PARTS) -> its energy in J, the known ones.
        low_j: lower end of the band of the models; None where a part is unknown, or no band is.
        high_j: upper end.
        missing: the parts that are unknown, with what is missing for them.
        unknown_sites: sites with such a part.
        members: the sites of a group.
    """

    name: str
    sites: int
    parts: tuple[tuple[str, float], ...]
    low_j: float | None
    high_j: float | None
    missing: tuple[str, ...] = ()
    unknown_sites: int = 0
    members: tuple[EnergyBar, ...] = ()

    @property
    def known_j(self) -> float:
        """Energy of the known parts: all of it where nothing is missing."""
        return math.fsum(value for _, value in self.parts)


def energy_bars(report: MappingReport) -> tuple[EnergyBar, ...]:
    """Return the bars of a mapping in the order of the graph: at most about MOST_BARS where names allow it.

    Many sites are put together by module, as deep in the tree of names as few enough bars come out. Where bars below
    SMALL of all energy are many they become one, at the end. What is put together stays among the members.
    """
    sites = [_of_site(row) for row in report.rows if row.energy_parts_j]
    groups = by_module([bar.name for bar in sites], MOST_BARS)
    bars = [
        sites[places[0]] if len(places) == 1 else together(name, [sites[n] for n in places]) for name, places in groups
    ]
    return _small_together(bars) if len(bars) > _FEW else tuple(bars)


def together(name: str, bars: Sequence[EnergyBar]) -> EnergyBar:
    """Return the sum of some bars."""
    sums = {part: [value for bar in bars for key, value in bar.parts if key == part] for part in BAR_PARTS}
    return EnergyBar(
        name=name,
        sites=sum(bar.sites for bar in bars),
        parts=tuple((part, math.fsum(values)) for part, values in sums.items() if values),
        low_j=_sum(bar.low_j for bar in bars),
        high_j=_sum(bar.high_j for bar in bars),
        missing=tuple(dict.fromkeys(text for bar in bars for text in bar.missing)),
        unknown_sites=sum(bar.unknown_sites for bar in bars),
        members=tuple(site for bar in bars for site in bar.members or (bar,)),
    )


def _of_site(row: ReportRow) -> EnergyBar:
    extra = _extra_reads(row)
    parts: dict[str, float] = {}
    for part, value in row.energy_parts_j.items():
        if value is None:
            continue
        votes = value * extra if part in _READING else 0.0
        parts[part] = value - votes
        if votes:
            parts[VOTES] = parts.get(VOTES, 0.0) + votes
    missing = tuple(
        f"{part}: {row.cost_models.get(part, 'unknown').removeprefix('unknown: ')}"
        for part, value in row.energy_parts_j.items()
        if value is None
    )
    return EnergyBar(
        name=row.name,
        sites=1,
        parts=tuple((part, parts[part]) for part in BAR_PARTS if part in parts),
        low_j=row.energy_low_j,
        high_j=row.energy_high_j,
        missing=missing,
        unknown_sites=int(bool(missing)),
    )


def _extra_reads(row: ReportRow) -> float:
    """Return the share of a site's reads that vote: each read of a site costs the same."""
    cells = [reads for line in row.reads_per_cell or () for reads in line if reads]
    return sum(reads - 1 for reads in cells) / sum(cells) if cells else 0.0


def _small_together(bars: Sequence[EnergyBar]) -> tuple[EnergyBar, ...]:
    least = SMALL * sum(bar.known_j for bar in bars)
    small = [bar for bar in bars if bar.known_j < least and not bar.missing]
    if len(small) < 3:
        return tuple(bars)
    merged = together("", small)
    modules = f" in {len(small)} modules" if merged.sites > len(small) else ""
    rest = [bar for bar in bars if bar not in small]
    return (*rest, replace(merged, name=f"{merged.sites} sites{modules}, each below {100 * SMALL:g} %"))


def _sum(values: Iterable[float | None]) -> float | None:
    found = list(values)
    return None if None in found else math.fsum(value for value in found if value is not None)
