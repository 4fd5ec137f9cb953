"""Where the energy goes, as stacked bars: all of it, then site by site or module by module."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from asim_fx.report.cost import TITLES, banded
from asim_fx.report.elements import Element, breakable, element
from asim_fx.report.energy import BAR_PARTS, VOTES, EnergyBar, energy_bars, together
from asim_fx.report.rows import MappingReport
from asim_fx.report.words import quantity, share

_TITLES = {**TITLES, VOTES: "repeated reads (votes)"}


def energy_view(report: MappingReport, anchors: Mapping[str, str]) -> list[Element]:
    """Return the bars with their legend, and the same as a table; nothing where no site is on the chip.

    Args:
        report: of a mapping.
        anchors: name of a report row -> id of its line in the table of sites.
    """
    bars = energy_bars(report)
    if not bars:
        return []
    whole = together("all sites", bars)
    if not whole.known_j:
        missing = element("ul", *(element("li", text) for text in whole.missing), class_="notes")
        return [element("h3", "Where the energy goes"), element("p", "The energy is unknown:"), missing]
    longest = max(bar.known_j for bar in bars)
    lines = element("ul", *(_line(bar, whole.known_j, longest, anchors) for bar in bars), class_="bars")
    return [
        element("h3", "Where the energy goes"),
        element("p", _summary(report, whole), class_="quiet"),
        element("div", _bar(whole, whole.known_j), class_="bars whole"),
        _legend(whole),
        lines,
        element("details", element("summary", "The same as a table"), _table(bars, whole)),
    ]


def _summary(report: MappingReport, whole: EnergyBar) -> str:
    parts = [f"{_figure(whole)} for one image."]
    if band := banded(whole.low_j, whole.high_j, "J"):
        parts.append(f"The bands of the models reach from {band}, as if all erred the same way.")
    if VOTES in dict(whole.parts):
        parts.append("Reads of a voted cell after its first are a part of their own here.")
    if whole.missing:
        parts.append(f"Unknown at {_sites(whole.unknown_sites)}: {'; '.join(whole.missing)}.")
    floating = sum(not row.energy_parts_j for row in report.rows)
    if floating:
        parts.append(f"{_sites(floating)} off the chip {'are' if floating > 1 else 'is'} not in it.")
    setup = report.totals.get("setup_energy_j")
    if setup:
        parts.append(f"Writing the weights once costs {quantity(setup, 'J')} more.")
    return " ".join(parts)


def _sites(number: int) -> str:
    return f"{number} site{'s' if number != 1 else ''}"


def _line(bar: EnergyBar, total: float, longest: float, anchors: Mapping[str, str]) -> Element:
    if not bar.members:
        return element("li", _row("div", bar, total, longest, anchors))
    own = max(site.known_j for site in bar.members) or 1.0
    scale = longest / own
    inside = [element("li", _row("div", site, total, own, anchors)) for site in bar.members]
    note = element("p", f"These bars are drawn {scale:.3g} times as long as the others.", class_="quiet")
    members = element("ul", *inside, class_="bars")
    more = [note, members] if scale > 1.05 else [members]
    return element("li", element("details", _row("summary", bar, total, longest, anchors), *more))


def _row(tag: str, bar: EnergyBar, total: float, longest: float, anchors: Mapping[str, str]) -> Element:
    anchor = anchors.get(bar.name) if not bar.members else None
    name = element("a", *breakable(bar.name), href=f"#{anchor}") if anchor else element("span", *breakable(bar.name))
    name.set("class", "bar-name")
    if bar.members:
        name.append(element("span", f" {_sites(bar.sites)}" if " sites" not in bar.name else "", class_="quiet"))
    return element(
        tag,
        name,
        _bar(bar, longest),
        element("span", _figure(bar), class_="bar-figure"),
        element("span", share(bar.known_j / total), class_="bar-share"),
        class_="bar-row",
    )


def _bar(bar: EnergyBar, longest: float) -> Element:
    """Return one stacked bar; a hatched end stands for what is unknown, and has no length of its own."""
    told = ", ".join(f"{_TITLES[part]} {quantity(value, 'J')}" for part, value in bar.parts)
    band = banded(bar.low_j, bar.high_j, "J")
    label = f"{bar.name}: {_figure(bar)}" + (f" ({told})" if told else "") + (f"; band {band}" if band else "")
    label += "".join(f"; unknown {text}" for text in bar.missing)
    drawing = element("svg", element("title", label), class_="stack", role="img", aria_label=label)
    left = 0.0
    for part, value in bar.parts:
        width = 100 * value / longest
        drawing.append(
            element("rect", class_=f"part-{part}", x=f"{left:.2f}%", y=0, width=f"{width:.2f}%", height="100%")
        )
        left += width
    if bar.missing:
        drawing.append(element("text", "? unknown", class_="open-end", x=f"{min(left, 75):.2f}%", y="80%", dx=4))
    return drawing


def _figure(bar: EnergyBar) -> str:
    if not bar.missing:
        return quantity(bar.known_j, "J")
    return f"over {quantity(bar.known_j, 'J')}" if bar.known_j else "unknown"


def _legend(whole: EnergyBar) -> Element:
    lines = element("ul", class_="legend")
    for part, value in whole.parts:
        text = f"{_TITLES[part]} {share(value / whole.known_j)}, {quantity(value, 'J')}"
        lines.append(element("li", element("span", class_="swatch"), text, class_=f"part-{part}"))
    return lines


def _table(bars: Iterable[EnergyBar], whole: EnergyBar) -> Element:
    used = [part for part in BAR_PARTS if part in dict(whole.parts)]
    head = element("tr", element("th", "Site", scope="col", class_="name"))
    head.extend(element("th", title, scope="col", class_="num") for title in (*map(_TITLES.__getitem__, used), "All"))
    body, foot = element("tbody"), element("tfoot")
    for bar in (*bars, whole):
        cells = [quantity(dict(bar.parts)[part], "J") if part in dict(bar.parts) else "-" for part in used]
        line = element("tr", element("td", *breakable(bar.name), class_="name"))
        line.extend(element("td", cell, class_="num") for cell in (*cells, _figure(bar)))
        (foot if bar is whole else body).append(line)
    table = element("table", element("thead", head), body, foot)
    return element("div", table, class_="scroll", tabindex="0", role="region", aria_label="Energy by site and part")
