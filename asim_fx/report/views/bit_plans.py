"""The bit plans as grids of cells: each distinct plan is drawn once, and used wherever a site has it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from asim_fx.report.elements import Element, element
from asim_fx.report.rows import MappingReport
from asim_fx.report.words import bit_plan, printable

Plan = tuple[tuple[int, ...], ...]

_CELL = 26
_GLYPH_CELL = 3
_LEFT, _TOP, _MARGIN = 78, 34, 8
_NAMED_SITES = 200


def plan_numbers(report: MappingReport) -> dict[Plan, int]:
    """Return the distinct bit plans, the most used one first, and the number that stands for each on the page."""
    used = Counter(row.reads_per_cell for row in report.rows if row.reads_per_cell)
    return {plan: number for number, (plan, _) in enumerate(used.most_common())}


def glyph(plan: Plan, number: int) -> Element:
    """Return a plan as small as a word."""
    high, wide = len(plan), len(plan[0])
    return element(
        "svg",
        element("use", href=f"#plan-{number}"),
        class_="glyph",
        width=wide * _GLYPH_CELL,
        height=high * _GLYPH_CELL,
        role="img",
        aria_label=bit_plan(plan),
    )


def bit_plans_section(report: MappingReport, numbers: Mapping[Plan, int]) -> list[Element]:
    """Return every distinct plan, large, with the sites that have it; nothing where no site is analog."""
    if not numbers:
        return []
    symbols = element("svg", *(_symbol(plan, number) for plan, number in numbers.items()), class_="symbols")
    symbols.set("aria-hidden", "true")
    figures = (_figure(report, plan, number) for plan, number in numbers.items())
    text = "Each cell is one plane of the stored operand times one plane of the streamed operand."
    return [
        element(
            "section",
            element("h2", "Bit plans", id="plans-heading"),
            element("p", text, class_="quiet"),
            symbols,
            element("div", *figures, class_="plans"),
            aria_labelledby="plans-heading",
        )
    ]


def _symbol(plan: Plan, number: int) -> Element:
    """Return the cells alone. The MSB comes first, as numbers are written; the plan counts from the LSB."""
    high, wide = len(plan), len(plan[0])
    symbol = element("symbol", id=f"plan-{number}", viewBox=f"0 0 {wide * _CELL} {high * _CELL}")
    for i, line in enumerate(reversed(plan)):
        for j, reads in enumerate(reversed(line)):
            where = f"stored plane {high - 1 - i}, streamed plane {wide - 1 - j}: {_in_words(reads)}"
            symbol.append(
                element(
                    "rect",
                    element("title", where),
                    class_=_kind(reads),
                    x=j * _CELL,
                    y=i * _CELL,
                    width=_CELL - 2,
                    height=_CELL - 2,
                    rx=2,
                )
            )
            if reads > 1:
                symbol.append(
                    element("text", str(reads), class_="in-cell", x=j * _CELL + _CELL / 2 - 1, y=i * _CELL + 16)
                )
    return symbol


def _figure(report: MappingReport, plan: Plan, number: int) -> Element:
    names = [row.name for row in report.rows if row.reads_per_cell == plan]
    told = f"at {len(names)} site{'s' if len(names) > 1 else ''}"
    caption = element("figcaption", element("strong", bit_plan(plan)), f", {told}")
    figure = element("figure", element("div", _grid(plan, number), _legend(plan), class_="plan"), caption)
    figure.set("id", f"plan-figure-{number}")
    if len(names) == 1:
        caption[-1].tail = f", at {printable(names[0])}"
    else:
        figure.append(element("details", element("summary", "Which sites"), element("p", _listed(names))))
    return figure


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED_SITES} more" if len(names) > _NAMED_SITES else ""
    return ", ".join(names[:_NAMED_SITES]) + more


def _grid(plan: Plan, number: int) -> Element:
    high, wide = len(plan), len(plan[0])
    width, height = _LEFT + wide * _CELL + _MARGIN, _TOP + high * _CELL + _MARGIN
    right, bottom = _LEFT + wide * _CELL - 2, _TOP + high * _CELL - 10
    cells = element("use", href=f"#plan-{number}", x=_LEFT, y=_TOP, width=wide * _CELL, height=high * _CELL)
    drawing = element(
        "svg",
        element("text", "streamed (input) planes", x=_LEFT, y=12),
        element("text", "MSB", x=_LEFT, y=_TOP - 6),
        element("text", "stored MSB", x=_LEFT - 6, y=_TOP + 16, text_anchor="end"),
        cells,
        viewBox=f"0 0 {max(width, _LEFT + 130)} {height}",
        width=max(width, _LEFT + 130),
        height=height,
        role="img",
        aria_label=f"Bit plan, stored by streamed planes, {bit_plan(plan)}",
    )
    if wide > 2:
        drawing.append(element("text", "LSB", x=right, y=_TOP - 6, text_anchor="end"))
    if high > 1:
        drawing.append(element("text", "LSB", x=_LEFT - 6, y=bottom, text_anchor="end"))
    return drawing


def _legend(plan: Plan) -> Element:
    cells = Counter(reads for line in plan for reads in line)
    lines = element("ul", class_="legend")
    for reads in sorted(cells, key=lambda n: (n != 0, -n)):
        text = f"{cells[reads]} {_in_words(reads)}"
        lines.append(element("li", element("span", class_="swatch"), text, class_=_kind(reads)))
    return lines


def _kind(reads: int) -> str:
    return "digital" if reads == 0 else "analog" if reads == 1 else "voted"


def _in_words(reads: int) -> str:
    return "digital" if reads == 0 else "analog, read once" if reads == 1 else f"voted, {reads} reads"
