"""How faithfully each site computes, as points on a scale of decibels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from asim_fx.report.elements import Element, breakable, element
from asim_fx.report.fidelity import FidelityReport, SiteFidelity
from asim_fx.report.modules import by_module
from asim_fx.report.views.axis import ticks

MOST_LANES = 40
_LANE = 18
"""Pixels, as the style sheet has them."""
_AXIS = 20
_KINDS = (
    ("sqnr_db", "sqnr", "SQNR: ideal integers against float"),
    ("csnr_db", "csnr", "CSNR: hardware against ideal integers"),
    ("snr_db", "both", "both: hardware against float"),
    ("cumulative_snr_db", "so-far", "both, with the errors of earlier sites"),
)
_COLUMNS = ("SQNR", "CSNR", "Both", "SQNR so far", "CSNR so far", "Both so far")
_FIELDS = ("sqnr_db", "csnr_db", "snr_db", "cumulative_sqnr_db", "cumulative_csnr_db", "cumulative_snr_db")


def fidelity_section(fidelity: FidelityReport, anchors: Mapping[str, str]) -> list[Element]:
    """Return the points with their legend, and the same as a table; nothing where no site was measured.

    Args:
        fidelity: what ``asim-simulate --probe`` measured.
        anchors: name of a report row -> id of its line in the table of sites.
    """
    finite = [value for site in fidelity.sites for value in _values(site) if value is not None and value != math.inf]
    if not fidelity.sites:
        return []
    title = element("h2", "Fidelity of the sites", id="fidelity-heading")
    parts = [title, element("p", _summary(fidelity), class_="quiet")]
    if finite:
        parts += [_legend(), _chart(fidelity, (min(0.0, *finite), max(1.0, *finite)), anchors)]
    parts.append(element("details", element("summary", "The same as a table"), _table(fidelity)))
    return [element("section", *parts, aria_labelledby="fidelity-heading")]


def _values(site: SiteFidelity) -> list[float | None]:
    return [getattr(site, field) for field, _, _ in _KINDS]


def _summary(fidelity: FidelityReport) -> str:
    seeds = f"{len(fidelity.seeds)} seeds" if len(fidelity.seeds) > 1 else f"seed {fidelity.seeds[0]}"
    parts = [f"Signal to noise, measured on {fidelity.images} images of {fidelity.data} with {seeds}; more is better."]
    worst = fidelity.worst
    if worst is not None:
        parts.append(f"{worst.site} is furthest from float by its own errors: {in_words(worst.snr_db)}.")
    if len(fidelity.sites) > MOST_LANES:
        parts.append("A line is a module, with the points of all its sites.")
    return " ".join(parts)


def in_words(value: float | None) -> str:
    """Return a ratio in dB; ``exact`` where nothing was off, ``no signal`` where there was none."""
    return "no signal" if value is None else "exact" if value == math.inf else f"{value:.1f} dB"


def _legend() -> Element:
    lines = (element("li", element("span", class_="swatch"), text, class_=f"snr-{name}") for _, name, text in _KINDS)
    return element("ul", *lines, class_="legend")


def _chart(fidelity: FidelityReport, ends: tuple[float, float], anchors: Mapping[str, str]) -> Element:
    groups = by_module([site.site for site in fidelity.sites], MOST_LANES)
    lanes = [(name, [fidelity.sites[place] for place in places]) for name, places in groups]
    height = _AXIS + len(lanes) * _LANE
    told = f"Signal to noise of {len(fidelity.sites)} sites in dB; the same is in the table below"
    drawing = element("svg", element("title", "Fidelity"), role="img", aria_label=told, height=height)
    low, high = ends
    for tick in ticks(high):
        x = _percent(tick, ends)
        drawing.append(element("line", class_="grid", x1=x, x2=x, y1=_AXIS - 4, y2=height))
        anchor = "start" if tick <= low else "end" if tick > low + 0.93 * (high - low) else "middle"
        drawing.append(element("text", f"{tick:g} dB", class_="tick", x=x, y=11, text_anchor=anchor))
    for line, (_, sites) in enumerate(lanes):
        for site in sites:
            drawing.extend(_points(site, ends, _AXIS + line * _LANE + _LANE / 2, worst=site is fidelity.worst))
    names = element("ol", *(_name(name, sites, anchors, fidelity.worst) for name, sites in lanes))
    return element("div", names, element("div", drawing, class_="lanes"), class_="gantt")


def _name(name: str, sites: Sequence[SiteFidelity], anchors: Mapping[str, str], worst: SiteFidelity | None) -> Element:
    anchor = anchors.get(name) if len(sites) == 1 else None
    text = element("a", name, href=f"#{anchor}") if anchor else element("span", name)
    text.set("title", name)
    return element("li", text, class_="worst" if worst in sites else "")


def _points(site: SiteFidelity, ends: tuple[float, float], y: float, *, worst: bool) -> list[Element]:
    """Return a point for each ratio; one without any noise stands at the end of the axis, as a ring."""
    points = []
    for field, name, told in _KINDS:
        value: float | None = getattr(site, field)
        if value is None:
            continue
        points.append(
            element(
                "circle",
                element("title", f"{site.site}, {told}: {in_words(value)}{', the worst' if worst else ''}"),
                class_=f"snr-{name} exact" if value == math.inf else f"snr-{name}",
                cx=_percent(min(value, ends[1]), ends),
                cy=y,
                r=5 if worst and name == "both" else 3.5,
            )
        )
    return points


def _percent(value: float, ends: tuple[float, float]) -> str:
    """Return where a ratio stands, with room for the half of a point at both ends."""
    low, high = ends
    return f"{1 + 98 * (value - low) / (high - low):.2f}%"


def _table(fidelity: FidelityReport) -> Element:
    head = element("tr", element("th", "Site", scope="col", class_="name"))
    head.extend(element("th", f"{title}, dB", scope="col", class_="num") for title in _COLUMNS)
    body = element("tbody")
    for site in fidelity.sites:
        line = element("tr", element("td", *breakable(site.site), class_="name"))
        cells = (in_words(getattr(site, field)).removesuffix(" dB") for field in _FIELDS)
        line.extend(element("td", cell, class_="num") for cell in cells)
        body.append(line)
    table = element("table", element("thead", head), body)
    return element("div", table, class_="scroll", tabindex="0", role="region", aria_label="Fidelity as a table")
