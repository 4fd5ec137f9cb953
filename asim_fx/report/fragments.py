"""The parts of the HTML page, as elements."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from asim_fx.report.clipping import clipping_lines
from asim_fx.report.cost import banded, cost_lines
from asim_fx.report.drawing import draw
from asim_fx.report.elements import Element, breakable, element
from asim_fx.report.layout import arrange
from asim_fx.report.rows import MappingReport, ReportRow
from asim_fx.report.views.bit_plans import Plan, glyph
from asim_fx.report.views.energy import energy_view
from asim_fx.report.views.facts import fact
from asim_fx.report.words import area, bit_plan, bits, count, efficiency, quantity, share, tiles

TIMES = "\N{MULTIPLICATION SIGN}"
_PARTS = ("analog", "integer", "float", "constant")

# Heading, field that it sorts by, and classes: num is right-aligned, w1 to w4 give way on narrow screens.
_COLUMNS: Sequence[tuple[str, str, str]] = (
    ("#", "index", "num w2"),
    ("Site", "name", "name"),
    ("Kind", "kind", "short w1"),
    ("Target", "target", "short"),
    (f"K {TIMES} N {TIMES} groups", "k", "short w3"),
    ("Vectors", "vectors", "num w4"),
    ("MACs", "macs", "num"),
    ("Bits w/x", "weight_bits", "short w1"),
    ("Tiles", "row_tiles", "short w2"),
    ("Used", "utilisation", "num w2"),
    ("Bit plan", "cells_digital", "short"),
    ("ADC", "adc_bits", "num w4"),
    ("ADC reads", "reads", "num w1"),
    ("Energy", "energy_j", "num w2"),
    ("Latency", "latency_s", "num w4"),
)


def headline(report: MappingReport) -> Element:
    """Return the heading."""
    return element("h1", report.model, " ", element("span", "on", class_="on"), " ", report.spec)


def cards(report: MappingReport) -> Element:
    """Return the figures that are read first."""
    totals = report.totals
    sites = ", ".join(
        f"{totals[f'sites_{part}']} {part}" for part in ("analog", "integer", "float") if totals.get(f"sites_{part}")
    )
    reads, macs = totals.get("reads"), totals.get("macs_analog")
    per_mac = f"{reads / macs:.3g} per analog MAC" if reads and macs else ""
    cells = ", ".join(
        f"{count(totals[f'cells_{part}'])} {part}"
        for part in ("digital", "voted", "analog")
        if totals.get(f"cells_{part}")
    )
    return element(
        "dl",
        fact("Analog share of MACs", share(totals.get("analog_share")), f"{count(macs)} analog MACs"),
        fact("MACs for one image", count(totals.get("macs")), f"{count(totals.get('macs_digital'))} not analog"),
        fact("Sites", count(totals.get("sites")), sites),
        fact("ADC conversions", count(reads), per_mac),
        fact("Cycles in all bit plans", count(_cells(report)), cells),
        fact("Parameters", count(totals.get("parameters")), ""),
        *_cost_cards(report),
        class_="cards costed" if _cost_cards(report) else "cards",
    )


def _cost_cards(report: MappingReport) -> list[Element]:
    totals = report.totals
    if not any(row.energy_parts_j for row in report.rows):
        return []
    energy = banded(totals.get("energy_low_j"), totals.get("energy_high_j"), "J")
    latency = banded(totals.get("latency_low_s"), totals.get("latency_high_s"), "s")
    return [
        fact("Energy for one image", quantity(totals.get("energy_j"), "J"), energy),
        fact("TOPS/W", efficiency(totals.get("tops_per_w")).removesuffix(" TOPS/W"), "at each site's own bits"),
        fact("Latency on arrays", quantity(totals.get("latency_s"), "s"), latency),
        fact("Area", area(totals.get("area_mm2")), f"{count(totals.get('arrays'))} arrays"),
    ]


def _cells(report: MappingReport) -> int:
    return sum(row.cycles or 0 for row in report.rows)


def split(report: MappingReport) -> Element:
    """Return the bar that splits the MACs by where they are computed."""
    macs = {part: report.totals.get(f"macs_{part}") or 0 for part in _PARTS}
    total = sum(macs.values())
    if not total:
        return element("p", "The model multiplies nothing.", class_="quiet")
    bar, legend, left = element("svg", role="img"), element("ul", class_="legend"), 0.0
    told = []
    for part, amount in macs.items():
        if not amount:
            continue
        width = 100 * amount / total
        bar.append(element("rect", class_=part, x=f"{left:.3f}%", y=0, width=f"{width:.3f}%", height="100%"))
        legend.append(
            element(
                "li",
                element("span", class_="swatch"),
                f"{part} {share(amount / total)}, {count(amount)} MACs",
                class_=part,
            )
        )
        told.append(f"{part} {share(amount / total)}")
        left += width
    bar.set("aria-label", "MACs: " + ", ".join(told))
    return element("div", bar, legend, class_="split")


def chips(report: MappingReport) -> list[Element]:
    """Return the filter buttons: one for each target and kind in use."""
    made = []
    for field in ("target", "kind"):
        found = Counter(str(getattr(row, field)) for row in report.rows)
        usual = {part: place for place, part in enumerate(_PARTS)}
        for value, number in sorted(found.items(), key=lambda item: usual.get(item[0], len(usual))):
            counted = element("span", str(number), class_="n")
            made.append(
                element(
                    "button",
                    value,
                    counted,
                    type="button",
                    class_="chip",
                    aria_pressed="false",
                    data_field=field,
                    data_value=value,
                )
            )
    return made


def jump(sections: Sequence[Element]) -> Element:
    """Return links to the parts of the page, by their headings."""
    links = [element("a", "Sites", href="#sites-heading")]
    for section in sections:
        heading = section.find("h2")
        if heading is not None and heading.get("id"):
            links.append(element("a", heading.text or "", href=f"#{heading.get('id')}"))
    return element("nav", *links, class_="jump", aria_label="Parts of this page")


def anchors(report: MappingReport) -> dict[str, str]:
    """Return the id of each row's line in the table."""
    return {row.name: f"site-{number}" for number, row in enumerate(report.rows)}


def sites_table(report: MappingReport, plans: Mapping[Plan, int]) -> Element:
    """Return one line for each site.

    Args:
        report: of a mapping.
        plans: the number of each distinct bit plan on the page.
    """
    head = element("tr")
    for title, key, classes in _COLUMNS:
        button = element("button", title, type="button")
        head.append(element("th", button, scope="col", class_=classes, data_key=key))
    body = element("tbody", *(_line(number, row, plans) for number, row in enumerate(report.rows)))
    sums = {"name": f"{len(report.rows)} sites", "macs": count(sum(row.macs for row in report.rows))}
    sums["reads"] = count(report.totals.get("reads"))
    if any(row.energy_parts_j for row in report.rows):
        sums["energy_j"] = quantity(report.totals.get("energy_j"), "J")
        sums["latency_s"] = quantity(report.totals.get("latency_s"), "s")
    foot = element("tr", *(element("td", sums.get(key, ""), class_=classes) for _, key, classes in _COLUMNS))
    table = element("table", element("thead", head), body, element("tfoot", foot), id="site-table")
    return element("div", table, class_="scroll", tabindex="0", role="region", aria_label="Table of sites")


def _line(number: int, row: ReportRow, plans: Mapping[Plan, int]) -> Element:
    calls = [element("span", f" ({row.calls} calls)", class_="quiet")] if row.calls > 1 else []
    name = element("button", *breakable(row.name), *calls, type="button", class_="open", aria_haspopup="dialog")
    cells: dict[str, Element | str] = {
        "index": str(number + 1),
        "name": name,
        "kind": row.kind,
        "target": element("span", row.target, class_=f"target {row.target}"),
        "k": f"{row.k} {TIMES} {row.n}" + (f" {TIMES} {row.groups}" if row.groups > 1 else ""),
        "vectors": count(row.vectors),
        "macs": count(row.macs),
        "weight_bits": bits(row),
        "row_tiles": tiles(row),
        "utilisation": share(row.utilisation) if row.utilisation is not None else "-",
        "cells_digital": _bit_plan(row, plans),
        "adc_bits": str(row.adc_bits) if row.adc_bits is not None else "-",
        "reads": count(row.reads) if row.target == "analog" else "-",
        "energy_j": quantity(row.energy_j, "J") if row.energy_parts_j else "-",
        "latency_s": quantity(row.latency_s, "s") if row.target == "analog" else "-",
    }
    line = (element("td", cells[key], class_=classes) for _, key, classes in _COLUMNS)
    return element("tr", *line, id=f"site-{number}", data_index=number)


def _bit_plan(row: ReportRow, plans: Mapping[Plan, int]) -> Element | str:
    if not row.reads_per_cell:
        return "-"
    number = plans[row.reads_per_cell]
    words = element("span", bit_plan(row.reads_per_cell), class_="w3", aria_hidden="true")
    return element("span", glyph(row.reads_per_cell, number), words, class_="plan-cell", data_plan=number)


def unmapped_section(report: MappingReport) -> list[Element]:
    """Return what is not analog, with its reason; nothing where everything is."""
    if not report.unmapped:
        return []
    head = element("tr", *(element("th", title, scope="col", class_=c) for title, c in _UNMAPPED_COLUMNS))
    body = element("tbody")
    for row in report.unmapped:
        cells = (row.name, row.kind, row.reason, count(row.macs), share(row.share))
        columns = zip(cells, _UNMAPPED_COLUMNS, strict=True)
        body.append(element("tr", *(element("td", cell, class_=classes) for cell, (_, classes) in columns)))
    table = element("table", element("thead", head), body)
    title = element("h2", "Not analog, and why", id="unmapped-heading")
    return [element("section", title, element("div", table, class_="scroll"), aria_labelledby="unmapped-heading")]


_UNMAPPED_COLUMNS = (
    ("Site", "name"), ("Kind", "short w1"), ("Reason", "reason"), ("MACs", "num w1"), ("Share", "num"),
)  # fmt: skip


def clipping_section(report: MappingReport) -> list[Element]:
    """Return how much static scales and converter windows clip; nothing where nothing was calibrated."""
    lines = clipping_lines(report)
    if not lines:
        return []
    columns = (("Values", "name"), ("Sites", "num"), ("Median site", "num"), ("Most", "num"), ("At", "name"))
    head = element("tr", *(element("th", title, scope="col", class_=classes) for title, classes in columns))
    body = element("tbody")
    for line in lines:
        texts = (line.title, str(line.sites), share(line.median), share(line.largest), line.worst)
        cells = zip(texts, columns, strict=True)
        body.append(element("tr", *(element("td", cell, class_=classes) for cell, (_, classes) in cells)))
    title = element("h2", "Clipped in calibration", id="clipping-heading")
    table = element("div", element("table", element("thead", head), body), class_="scroll")
    return [element("section", title, table, class_="clipping", aria_labelledby="clipping-heading")]


def cost_section(report: MappingReport) -> list[Element]:
    """Return where the energy goes, and the cost part by part with its models; nothing where no site is on the chip."""
    lines = cost_lines(report)
    if not lines:
        return []
    columns = (
        ("Part", "name"),
        ("Figure", "num"),
        ("Share", "num w1"),
        ("Model, and where measurements lay", "reason"),
    )
    head = element("tr", *(element("th", title, scope="col", class_=classes) for title, classes in columns))
    body = element("tbody")
    for line in lines:
        cells = zip((line.title, line.figure, line.share, line.models), columns, strict=True)
        body.append(element("tr", *(element("td", cell, class_=classes) for cell, (_, classes) in cells)))
    title = element("h2", "Cost of one image", id="cost-heading")
    table = element("div", element("table", element("thead", head), body), class_="scroll")
    heading = element("h3", "Part by part")
    return [
        element(
            "section",
            title,
            *energy_view(report, anchors(report)),
            heading,
            table,
            class_="cost",
            aria_labelledby="cost-heading",
        )
    ]


def dataflow_section(report: MappingReport) -> list[Element]:
    """Return the drawing with its controls; nothing where there is none."""
    if not report.dataflow.nodes:
        return []
    actions = (
        ("in", "+", "Zoom in"),
        ("out", "\N{MINUS SIGN}", "Zoom out"),
        ("width", "Fit width", ""),
        ("all", "Fit all", ""),
    )
    buttons = (
        element("button", text, type="button", data_zoom=name, aria_label=label or text)
        for name, text, label in actions
    )
    zoom = element("div", *buttons, class_="zoom", role="group", aria_label="Zoom")
    zoom.set("hidden", "hidden")
    legend = element("ul", class_="legend")
    for part in dict.fromkeys(node.target for node in report.dataflow.nodes if node.target):
        legend.append(element("li", element("span", class_="swatch"), part, class_=part))
    canvas = element(
        "div",
        draw(arrange(report.dataflow), anchors(report)),
        class_="canvas",
        tabindex="0",
        role="region",
        aria_label="Dataflow",
    )
    mouse = element("span", " Drag to move, Ctrl and wheel to zoom.", class_="mouse")
    title = element("h2", "Dataflow", id="dataflow-heading")
    text = element("p", "Data flows from top to bottom. A box leads to its row.", mouse, class_="quiet")
    return [element("section", title, text, zoom, canvas, legend, aria_labelledby="dataflow-heading")]


def notes_section(report: MappingReport) -> list[Element]:
    """Return the notes that concern more than one site."""
    if not report.notes:
        return []
    lines = (element("li", element("strong", where or "model"), f": {text}") for where, text in report.notes)
    return [element("section", element("h2", "Notes", id="notes-heading"), element("ul", *lines, class_="notes"))]
