"""The difference of two mappings in words: lines that a table, Markdown and CSV share."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from asim_fx.report.difference import Difference, FieldChange, SiteChange, leaves
from asim_fx.report.words import UNKNOWN, area, bit_plan, count, efficiency, quantity, share, shorten

ARROW = "\N{RIGHTWARDS ARROW}"
_VALUE_WIDTH = 60
_NAMED_SITES = 12
_SHOWN_TOTALS = {
    "macs": "MACs",
    "macs_analog": "analog MACs",
    "analog_share": "analog share of MACs",
    "sites": "sites",
    "sites_analog": "analog sites",
    "parameters": "parameters",
    "reads": "ADC conversions",
    "cells_digital": "digital cells of bit plans",
    "cells_voted": "voted cells",
    "cells_analog": "analog cells",
    "energy_j": "energy for one image",
    "tops_per_w": "TOPS/W",
    "latency_s": "latency on macros",
    "arrays": "arrays",
    "area_mm2": "area",
    "setup_energy_j": "writing weights, once",
    "images_per_s": "images per second",
    "macros_used": "macros used",
    "reloads": "macros reloaded an image",
    "energy_reload_j": "energy of reloading",
    "pipelined_utilisation": "macros at work",
}
_TITLES = {
    "k": "K",
    "n": "N",
    "macs": "MACs",
    "reads_per_cell": "bit plan",
    "adc_bits": "ADC bits",
}


def headings(difference: Difference) -> list[str]:
    """Return what A and B are, one line each."""
    both = (("A", difference.a), ("B", difference.b))
    return [f"{name}: {saved.report.model} on {saved.report.spec} ({saved.path})" for name, saved in both]


def spec_lines(difference: Difference) -> list[tuple[str, str, str, str]]:
    """Return (field, A, B, sites) for the fields of the spec that differ."""
    return [
        (change.field, _value(change.a), _value(change.b), "" if change.sites is None else str(change.sites))
        for change in difference.spec
    ]


def total_lines(difference: Difference) -> list[tuple[str, str, str, str]]:
    """Return (title, A, B, change) for the totals that people compare."""
    known = {change.field: change for change in difference.totals}
    return [
        (title, figure(name, change.a), figure(name, change.b), _relative(change))
        for name, title in _SHOWN_TOTALS.items()
        if (change := known.get(name)) is not None and not change.a is change.b is None
    ]


def mapping_lines(difference: Difference) -> list[tuple[str, str]]:
    """Return (how sites are mapped otherwise, which sites), each way once."""
    sites: dict[str, list[str]] = {}
    for site in difference.sites:
        if told := decisions_in_words(site):
            sites.setdefault(told, []).append(site.name)
    return [(told, counted(names)) for told, names in sites.items()]


def cost_lines(difference: Difference) -> list[tuple[str, str, str, str]]:
    """Return (site, ADC reads, energy, latency) for the sites that cost otherwise."""
    lines = []
    for site in difference.sites:
        changes = {change.field: change for change in site.figures}
        reads, energy, latency = (_cost(changes.get(field)) for field in ("reads", "energy_j", "latency_s"))
        if reads or energy or latency:
            lines.append((site.name, reads, energy, latency))
    return lines


def decisions_in_words(site: SiteChange) -> str:
    """Return how a site is mapped otherwise."""
    changes = {change.field: change for change in site.decisions}
    if "target" in changes:  # what only one of the targets has is no change of it
        changes = {name: change for name, change in changes.items() if _told(change.a) and _told(change.b)}
    if "vote" in changes and not (changes["vote"].a and changes["vote"].b):
        del changes["vote"]  # the bit plan says that nothing was voted
    return "; ".join(map(_in_words, changes.values()))


def _told(value: Any) -> bool:
    return value is not None and value != ""


def _cost(change: FieldChange | None) -> str:
    if change is None:
        return ""
    relative = _relative(change)
    figures = f"{figure(change.field, change.a)} {ARROW} {figure(change.field, change.b)}"
    return f"{figures} ({relative})" if relative else figures


def counted(names: Sequence[str]) -> str:
    """Return names in one line, with their number where there are several; not all of very many."""
    if len(names) == 1:
        return names[0]
    more = f" and {len(names) - _NAMED_SITES} more" if len(names) > _NAMED_SITES else ""
    return f"{len(names)} sites: {', '.join(names[:_NAMED_SITES])}{more}"


def figure(name: str, value: Any) -> str:
    """Return a figure of a report by the name of its field."""
    if value is None:
        return UNKNOWN
    if name.endswith("_j"):
        return quantity(value, "J")
    if name.endswith("_s") and not name.endswith("_per_s"):
        return quantity(value, "s")
    if name.endswith("_mm2"):
        return area(value)
    if name.endswith(("_share", "utilisation")):
        return share(value)
    if name == "tops_per_w":
        return efficiency(value).removesuffix(" TOPS/W")
    if name == "reads_per_cell":
        return bit_plan(value)
    return count(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else _value(value)


def _in_words(change: FieldChange) -> str:
    title = _TITLES.get(change.field, change.field.replace("_", " "))
    return f"{title} {figure(change.field, change.a)} {ARROW} {figure(change.field, change.b)}"


def _relative(change: FieldChange) -> str:
    relative = change.change
    if relative is None or change.a == change.b:
        return ""
    if relative > 9:
        return f"x{relative + 1:.3g}"
    return f"{100 * relative:+.1f} %"


def _value(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, Mapping):
        return ", ".join(f"{field} {_value(inner)}" for field, inner in leaves(value).items())
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return shorten(text, _VALUE_WIDTH)
