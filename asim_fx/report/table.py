"""The report in a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from rich.console import Console, Group, RenderableType
from rich.text import Text

from asim_fx.report.clipping import ClippingLine, clipping_lines
from asim_fx.report.cost import CostLine, cost_lines
from asim_fx.report.fitting import Column, fitted_table
from asim_fx.report.rows import MappingReport, ReportRow
from asim_fx.report.schedule_lines import ScheduleLine, schedule_lines
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
# Columns are left out before texts are broken below these.
_NAME_WIDTH = 28
_REASON_WIDTH = 16
_ORIGIN_WIDTH = 32
_ELSEWHERE = "a wider terminal or --report csv shows them"


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
    if clipped := clipping_lines(report):
        parts.append(clipping_table(clipped, width))
    if lines := cost_lines(report):
        parts.append(cost_table(lines, width))
    if scheduled := schedule_lines(report):
        parts += [schedule_table(scheduled, width), *_schedule_notes(report)]
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
        line.append(f"; {quantity(totals.get('latency_s'), 's')} on analog macros")
        if totals.get("images_per_s") is not None:
            line.append(f", {count(totals['images_per_s'])} images/s")
    return line


def sites_table(report: MappingReport, width: int) -> RenderableType:
    """Return one line for each site, and the totals. Names are whole: long ones take several lines."""
    rows, totals = report.rows, report.totals
    targets = [row.target for row in rows]

    def column(title: str, rank: int, cell: Callable[[ReportRow], str], total: str = "", right: bool = False) -> Column:
        return Column(title, [cell(row) for row in rows], rank, total, right)

    columns = [
        Column("site", [_name(row) for row in rows], total=_sites(report), least=_name_width(width)),
        column("kind", 4, lambda row: row.kind),
        Column("target", targets, 3, _analog_sites(report), styles=[_STYLES.get(target, "") for target in targets]),
        column("output", 11, lambda row: shape(row.output_shape)),
        column("K x N x groups", 9, lambda row: " x ".join(map(str, (row.k, row.n, row.groups)))),
        column("MACs", 0, lambda row: count(row.macs), count(totals.get("macs")), right=True),
        column("bits w/x", 5, bits),
        column("tiles", 6, tiles),
        column("used", 7, lambda row: _or_dash(row, share(row.utilisation)), right=True),
        column("bit plan", 8, lambda row: bit_plan(row.reads_per_cell)),
        column("decided by", 10, lambda row: shorten(printable(row.decided_by), _ORIGIN_WIDTH)),
        column("ADC reads", 1, lambda row: _or_dash(row, count(row.reads)), count(totals.get("reads")), right=True),
        column("energy", 4, _energy, quantity(totals.get("energy_j"), "J"), right=True),
        column("latency", 12, _latency, quantity(totals.get("latency_s"), "s"), right=True),
        column("area", 13, lambda row: _or_dash(row, area(row.area_mm2)), area(totals.get("area_mm2")), right=True),
    ]
    return fitted_table(columns, width, elsewhere=_ELSEWHERE)


def _name_width(width: int) -> int:
    """Return the width below which names are not broken further as long as a column can give way."""
    return min(_NAME_WIDTH, max(12, width // 3))


def _energy(row: ReportRow) -> str:
    return quantity(row.energy_j, "J") if row.energy_parts_j else "-"


def _latency(row: ReportRow) -> str:
    return _or_dash(row, quantity(row.latency_s, "s"))


def _or_dash(row: ReportRow, figure: str) -> str:
    return figure if row.target == "analog" else "-"


def _analog_sites(report: MappingReport) -> str:
    return f"{report.totals.get('sites_analog', UNKNOWN)} analog"


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


def clipping_table(lines: Sequence[ClippingLine], width: int) -> RenderableType:
    """Return how much static scales and converter windows clip, on the images that they were chosen on."""
    columns = [
        Column("", [line.title for line in lines]),
        Column("sites", [str(line.sites) for line in lines], right=True),
        Column("median site", [share(line.median) for line in lines], right=True),
        Column("most", [share(line.largest) for line in lines], right=True),
        Column("at", [printable(line.worst) if line.largest else "-" for line in lines], least=width // 4),
    ]
    return fitted_table(columns, width, title="Clipped in calibration", elsewhere=_ELSEWHERE)


def cost_table(lines: Sequence[CostLine], width: int) -> RenderableType:
    """Return the cost part by part, with the model that made each figure and its band."""
    columns = [
        Column("", [line.title for line in lines]),
        Column("figure", [line.figure for line in lines], right=True),
        Column("share", [line.share for line in lines], 1, right=True),
        Column("model, and where measurements lay", [printable(line.models) for line in lines], least=width // 3),
    ]
    return fitted_table(columns, width, title="Cost of one image", elsewhere=_ELSEWHERE)


def schedule_table(lines: Sequence[ScheduleLine], width: int) -> RenderableType:
    """Return what one image and a stream of images take of the chip."""
    columns = [
        Column("", [line.title for line in lines]),
        Column("figure", [line.figure for line in lines], right=True),
        Column("from", [printable(line.because) for line in lines], least=width // 3),
    ]
    return fitted_table(columns, width, title="Schedule on the chip", elsewhere=_ELSEWHERE)


def unmapped_table(report: MappingReport, width: int) -> RenderableType:
    """Return what is not analog, with the reason and the share of the model's MACs."""
    rows = report.unmapped
    reasons = [printable(row.reason) for row in rows]
    longest = max((len(word) for reason in reasons for word in reason.split()), default=0)
    names = min(_NAME_WIDTH, max(12, width // 4))
    columns = [
        Column("site", [printable(row.name) for row in rows], least=names),
        Column("kind", [row.kind for row in rows], 2),
        Column("MACs", [count(row.macs) for row in rows], right=True),
        Column("share", [share(row.share) for row in rows], 1, right=True),
        Column("reason", reasons, least=min(max(longest, _REASON_WIDTH), width // 2)),
    ]
    return fitted_table(columns, width, title="Not analog, and why", elsewhere=_ELSEWHERE)


def _schedule_notes(report: MappingReport) -> list[Text]:
    lines = [f"  {printable(note)}\n" for note in report.schedule.notes]
    return [Text("".join(lines))] if lines else []


def _notes(report: MappingReport) -> Text:
    lines = [f"  {printable(where or 'model')}: {printable(text)}" for where, text in report.notes]
    return Text.assemble(("Notes\n", "bold"), "\n".join(lines), "\n")


def _origin(report: MappingReport) -> Text:
    return Text(printable(footer(report)), style="dim")
