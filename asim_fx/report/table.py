"""The report in a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from asim_fx.report.cost import CostLine, cost_lines
from asim_fx.report.rows import MappingReport, ReportRow
from asim_fx.report.words import (
    UNKNOWN,
    area,
    bit_plan,
    bits,
    count,
    efficiency,
    footer,
    printable,
    quantity,
    shape,
    share,
    shorten,
    tiles,
)

_STYLES = {"analog": "green", "integer": "yellow", "float": "red"}
# Columns are left out before names are shortened below this.
_NAME_WIDTH = 28
_ORIGIN_WIDTH = 32
_BETWEEN = 3


def print_report(report: MappingReport, console: Console) -> None:
    """Print the report for people, as wide as the console is. No colour where the console has none."""
    console.print(renderable(report, console.width), soft_wrap=False, highlight=False)


def renderable(report: MappingReport, width: int) -> RenderableType:
    """Return the report as rich tables.

    Args:
        report: what to show.
        width: characters of a line: 100 show what matters, about 190 everything.
    """
    parts: list[RenderableType] = [_headline(report), sites_table(report, width), _bit_plans(report)]
    if lines := cost_lines(report):
        parts.append(cost_table(lines))
    if report.unmapped:
        parts.append(unmapped_table(report, width))
    if report.notes:
        parts.append(_notes(report))
    parts.append(_origin(report))
    return Group(*parts)


def _headline(report: MappingReport) -> Text:
    totals = report.totals
    line = Text.assemble((printable(report.model), "bold"), " on ", (printable(report.spec), "bold"), "\n")
    line.append(f"{count(totals.get('macs'))} MACs for one image: {share(totals.get('analog_share'))} analog")
    for part in ("integer", "float", "constant"):
        macs = totals.get(f"macs_{part}")
        if macs:
            line.append(f", {share(macs / totals['macs'])} {part}")
    line.append(f"; {count(totals.get('reads'))} ADC conversions; {count(totals.get('parameters'))} parameters")
    if totals.get("energy_j") is not None:
        line.append(f"\n{quantity(totals['energy_j'], 'J')} for one image, {efficiency(totals.get('tops_per_w'))}")
        line.append(f"; {quantity(totals.get('latency_s'), 's')} on analog arrays, one layer after another")
    return line


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of the site table; those of the highest rank give way first where the line is too short."""

    title: str
    rank: int
    cell: Callable[[ReportRow], str]
    total: str = ""
    right: bool = False


def sites_table(report: MappingReport, width: int) -> Table:
    """Return one line for each site, and the totals. Only names are ever shortened; columns are left out instead."""
    names = [_name(row) for row in report.rows]
    lines = [(column, [column.cell(row) for row in report.rows]) for column in _columns(report)]
    widths = {column.title: max(map(len, (column.title, column.total, *cells))) + _BETWEEN for column, cells in lines}
    longest = max(map(len, (*names, _sites(report))))
    while len(lines) > 1 and sum(widths.values()) + min(longest, _NAME_WIDTH) + _BETWEEN > width:
        least = max(lines, key=lambda line: line[0].rank)
        if least[0].rank == 0:
            break
        lines.remove(least)
        del widths[least[0].title]
    left = max(12, width - sum(widths.values()) - _BETWEEN)
    table = Table(box=box.SIMPLE_HEAD, show_footer=True, pad_edge=False)
    table.add_column("site", _sites(report), no_wrap=True)
    for column, _ in lines:
        table.add_column(column.title, column.total, no_wrap=True, justify="right" if column.right else "left")
    for number, name in enumerate(names):
        cells = [Text(values[number], _STYLES.get(values[number], "")) for _, values in lines]
        table.add_row(Text(shorten(name, left)), *cells)
    return table


def _columns(report: MappingReport) -> list[_Column]:
    totals = report.totals
    return [
        _Column("kind", 1, lambda row: row.kind),
        _Column("target", 0, lambda row: row.target, f"{totals.get('sites_analog', UNKNOWN)} analog"),
        _Column("output", 8, lambda row: shape(row.output_shape)),
        _Column("K x N x groups", 6, lambda row: " x ".join(map(str, (row.k, row.n, row.groups)))),
        _Column("MACs", 0, lambda row: count(row.macs), count(totals.get("macs")), right=True),
        _Column("bits w/x", 2, bits),
        _Column("tiles", 3, tiles),
        _Column("used", 4, lambda row: _or_dash(row, share(row.utilisation)), right=True),
        _Column("bit plan", 5, lambda row: bit_plan(row.reads_per_cell)),
        _Column("decided by", 7, lambda row: shorten(printable(row.decided_by), _ORIGIN_WIDTH)),
        _Column("ADC reads", 0, lambda row: _or_dash(row, count(row.reads)), count(totals.get("reads")), right=True),
        _Column(
            "energy",
            3,
            lambda row: quantity(row.energy_j, "J") if row.energy_parts_j else "-",
            quantity(totals.get("energy_j"), "J"),
            right=True,
        ),
        _Column(
            "latency",
            9,
            lambda row: _or_dash(row, quantity(row.latency_s, "s")),
            quantity(totals.get("latency_s"), "s"),
            right=True,
        ),
        _Column("area", 10, lambda row: _or_dash(row, area(row.area_mm2)), area(totals.get("area_mm2")), right=True),
    ]


def _or_dash(row: ReportRow, figure: str) -> str:
    return figure if row.target == "analog" else "-"


def _sites(report: MappingReport) -> str:
    return f"{report.totals.get('sites', UNKNOWN)} sites"


def _name(row: ReportRow) -> str:
    name = printable(row.name)
    return f"{name} ({row.calls} calls)" if row.calls > 1 else name


def _bit_plans(report: MappingReport) -> Text:
    """Return the distinct bit plans in use, and at how many sites."""
    used = Counter(bit_plan(row.reads_per_cell) for row in report.rows if row.reads_per_cell is not None)
    lines = [f"  {plan}  at {sites} site{'s' if sites > 1 else ''}" for plan, sites in used.most_common()]
    heading = "Bit plans (stored x streamed planes)\n"
    return Text.assemble((heading, "bold"), "\n".join(lines), "\n") if lines else Text("No site is analog.\n")


def cost_table(lines: Sequence[CostLine]) -> Table:
    """Return the cost part by part, with the model that made each figure and its band."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="Cost of one image", title_justify="left")
    table.title_style = "bold"
    table.add_column("", no_wrap=True)
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("share", justify="right", no_wrap=True)
    table.add_column("model, and where measurements lay", overflow="fold")
    for line in lines:
        table.add_row(line.title, line.figure, line.share, Text(printable(line.models)))
    return table


def unmapped_table(report: MappingReport, width: int) -> Table:
    """Return what is not analog, with the reason and the share of the model's MACs."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="Not analog, and why", title_justify="left")
    table.title_style = "bold"
    table.add_column("site", no_wrap=True)
    table.add_column("kind", no_wrap=True)
    table.add_column("MACs", justify="right", no_wrap=True)
    table.add_column("share", justify="right", no_wrap=True)
    table.add_column("reason", overflow="fold")
    for row in report.unmapped:
        name = shorten(printable(row.name), max(16, min(44, width // 3)))
        table.add_row(Text(name), row.kind, count(row.macs), share(row.share), Text(printable(row.reason)))
    return table


def _notes(report: MappingReport) -> Text:
    lines = [f"  {printable(where or 'model')}: {printable(text)}" for where, text in report.notes]
    return Text.assemble(("Notes\n", "bold"), "\n".join(lines), "\n")


def _origin(report: MappingReport) -> Text:
    return Text(printable(footer(report)), style="dim")
