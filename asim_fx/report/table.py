"""The report in a terminal."""

from __future__ import annotations

from collections import Counter

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from asim_fx.report.rows import MappingReport, ReportRow
from asim_fx.report.words import bit_plan, bits, count, shape, share, shorten, tiles

_STYLES = {"analog": "green", "integer": "yellow", "float": "red"}
_WIDE, _VERY_WIDE = 130, 170


def print_report(report: MappingReport, console: Console) -> None:
    """Print the report for people, as wide as the console is. No colour where the console has none."""
    console.print(renderable(report, console.width), soft_wrap=False, highlight=False)


def renderable(report: MappingReport, width: int) -> RenderableType:
    """Return the report as rich tables.

    Args:
        report: what to show.
        width: characters of a line; 100 shows what matters, from 130 each site's bit plan, from 170 all.
    """
    parts: list[RenderableType] = [_headline(report), sites_table(report, width), _bit_plans(report)]
    if report.unmapped:
        parts.append(unmapped_table(report, width))
    if report.notes:
        parts.append(_notes(report))
    parts.append(_origin(report))
    return Group(*parts)


def _headline(report: MappingReport) -> Text:
    totals = report.totals
    line = Text.assemble((report.model, "bold"), " on ", (report.spec, "bold"), "\n")
    line.append(f"{count(totals.get('macs'))} MACs for one image: {share(totals.get('analog_share'))} analog")
    for part in ("integer", "float", "constant"):
        macs = totals.get(f"macs_{part}")
        if macs:
            line.append(f", {share(macs / totals['macs'])} {part}")
    line.append(
        f"; {count(totals.get('reads'))} ADC conversions; {count(totals.get('parameters'))} parameters"
    )
    return line


def sites_table(report: MappingReport, width: int) -> Table:
    """Return one line for each site, and the totals."""
    table = Table(box=box.SIMPLE_HEAD, show_footer=True, pad_edge=False, padding=(0, 1))
    wide, very_wide = width >= _WIDE, width >= _VERY_WIDE
    totals = report.totals
    table.add_column("site", f"{totals.get('sites', len(report.rows))} sites", no_wrap=True)
    table.add_column("kind", "", no_wrap=True)
    table.add_column("target", f"{totals.get('sites_analog', 0)} analog", no_wrap=True)
    if very_wide:
        table.add_column("output", no_wrap=True)
    if wide:
        table.add_column("K x N x groups", no_wrap=True)
    table.add_column("MACs", count(totals.get("macs")), justify="right", no_wrap=True)
    table.add_column("bits w/x", no_wrap=True)
    table.add_column("tiles", no_wrap=True)
    table.add_column("used", justify="right", no_wrap=True)
    if wide:
        table.add_column("bit plan", no_wrap=True)
    if very_wide:
        table.add_column("decided by", no_wrap=True)
    table.add_column("ADC reads", count(totals.get("reads")), justify="right", no_wrap=True)
    name_width = max(16, min(44, width - (66 if not wide else 118 if not very_wide else 158)))
    for row in report.rows:
        cells: list[RenderableType] = [
            Text(_name(row, name_width)),
            row.kind,
            Text(row.target, _STYLES.get(row.target, "")),
        ]
        if very_wide:
            cells.append(shape(row.output_shape))
        if wide:
            cells.append(f"{row.k} x {row.n}" + (f" x {row.groups}" if row.groups > 1 else ""))
        cells += [count(row.macs), bits(row), tiles(row)]
        cells.append(share(row.utilisation) if row.utilisation is not None else "-")
        if wide:
            cells.append(bit_plan(row.reads_per_cell))
        if very_wide:
            cells.append(Text(shorten(row.decided_by, 28)))
        cells.append(count(row.reads) if row.target == "analog" else "-")
        table.add_row(*cells)
    return table


def _name(row: ReportRow, width: int) -> str:
    calls = f" ({row.calls} calls)" if row.calls > 1 else ""
    return shorten(row.name, width - len(calls)) + calls


def _bit_plans(report: MappingReport) -> Text:
    """Return the distinct bit plans in use, and at how many sites."""
    used = Counter(bit_plan(row.reads_per_cell) for row in report.rows if row.reads_per_cell is not None)
    lines = [f"  {plan}  at {sites} site{'s' if sites > 1 else ''}" for plan, sites in used.most_common()]
    heading = "Bit plans (stored x streamed planes)\n"
    return Text.assemble((heading, "bold"), "\n".join(lines), "\n") if lines else Text("No site is analog.\n")


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
        name = shorten(row.name, max(16, min(44, width // 3)))
        table.add_row(Text(name), row.kind, count(row.macs), share(row.share), Text(row.reason))
    return table


def _notes(report: MappingReport) -> Text:
    lines = [f"  {where or 'model'}: {text}" for where, text in report.notes]
    return Text.assemble(("Notes\n", "bold"), "\n".join(lines), "\n")


def _origin(report: MappingReport) -> Text:
    versions = ", ".join(f"{package} {version}" for package, version in report.versions.items())
    return Text("\n".join(part for part in (report.verification, versions) if part), style="dim")
