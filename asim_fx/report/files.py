"""The report as text in the formats that people keep."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, TypeAlias

from asim_fx.errors import UsageError
from asim_fx.mapping.schedule import Slot, slots_by_row
from asim_fx.report.clipping import clipping_lines
from asim_fx.report.cost import PARTS, cost_lines
from asim_fx.report.html import to_html
from asim_fx.report.rows import MappingReport, ReportRow
from asim_fx.report.schedule_lines import schedule_lines
from asim_fx.report.serial import from_json, to_json
from asim_fx.report.words import bit_plan, bits, count, footer, quantity, shape, share, tiles

Format: TypeAlias = Literal["json", "csv", "md", "html"]

# fmt: off
CSV_COLUMNS = (
    "name", "kind", "op", "calls", "input_shape", "weight_shape", "output_shape", "geometry", "k", "n",
    "groups", "vectors", "macs", "weights", "target", "reason", "decided_by", "why", "signed",
    "signed_because", "weight_signed", "weight_bits", "input_bits", "input_encoding", "scale", "macro",
    "rows", "columns", "adc_bits", "row_tiles", "column_tiles", "utilisation", "cycles", "cells_digital",
    "cells_voted", "cells_analog", "vote", "bit_plan", "reads", "notes",
    "energy_j", "energy_low_j", "energy_high_j", "energy_column_j", "energy_adc_j", "energy_array_j",
    "energy_accumulation_j", "energy_digital_j", "energy_loading_j", "tops_per_w", "setup_energy_j", "latency_s",
    "latency_low_s", "latency_high_s", "arrays", "area_mm2", "adc_area_mm2", "cost_models", "columns_per_output",
    "static_scale", "clipped", "stored_scale", "stored_clipped", "window_low_mac", "window_high_mac", "window_clipped",
    "macros", "copies", "passes", "round", "start_s", "end_s",
)
# fmt: on
"""Columns of the CSV form; later versions only add at the end."""


def render(report: MappingReport, form: Format | str) -> str:
    """Return the report as text.

    Args:
        report: what to write.
        form: ``json``, ``csv``, ``md`` or ``html``.

    Raises:
        UsageError: no such format.
    """
    writers: Mapping[str, Callable[[MappingReport], str]] = {
        "json": to_json,
        "csv": to_csv,
        "md": to_markdown,
        "html": to_html,
    }
    if form not in writers:
        message = f"no such report format: {form}"
        raise UsageError(message, hint=f"one of {', '.join(writers)}")
    return writers[form](report)


def to_csv(report: MappingReport) -> str:
    """Return one line a site under a line of column names (``CSV_COLUMNS``), ended by CRLF as in RFC 4180.

    A figure that does not apply is an empty field. Provenance and settings are in the JSON form only.
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(CSV_COLUMNS)
    slots = slots_by_row(report.schedule)
    writer.writerows(_csv_row(row, slots.get(row.name, ())) for row in report.rows)
    return out.getvalue()


def _csv_row(row: ReportRow, slots: Sequence[Slot]) -> list[object]:
    special = {
        **(_slot_cells(slots) if slots else dict.fromkeys(_SLOT_COLUMNS)),
        "input_shape": shape(row.input_shape),
        "weight_shape": shape(row.weight_shape),
        "output_shape": shape(row.output_shape),
        "bit_plan": bit_plan(row.reads_per_cell) if row.reads_per_cell is not None else None,
        "notes": "; ".join(row.notes),
        "cost_models": "; ".join(f"{part}: {model}" for part, model in row.cost_models.items()),
        **{f"energy_{part}_j": row.energy_parts_j.get(part) for part in PARTS},
    }
    return [special[name] if name in special else getattr(row, name) for name in CSV_COLUMNS]


_SLOT_COLUMNS = ("macros", "copies", "passes", "round", "start_s", "end_s")


def _slot_cells(slots: Sequence[Slot]) -> dict[str, object]:
    """Return when the calls of a row work, from the start of the first to the end of the last."""
    first, last = slots[0], slots[-1]
    held = {name: getattr(first, name) for name in _SLOT_COLUMNS}
    return {**held, "end_s": last.end_s}


def to_markdown(report: MappingReport) -> str:
    """Return the totals, the sites, what is not analog, and the notes, as GitHub tables."""
    totals = report.totals
    parts = [
        f"# {plain(report.model)} on {plain(report.spec)}",
        "Counts are for one image.",
        markdown_table(
            ("", "total", "analog", "integer", "float", "constant"),
            (
                ("MACs", *(count(totals.get(f"macs{part}")) for part in ("", *_TARGETS, "_constant"))),
                ("sites", *(count(totals.get(f"sites{part}")) for part in ("", *_TARGETS)), "-"),
            ),
            numeric=5,
        ),
        f"{share(totals.get('analog_share'))} of the MACs are analog; "
        f"{count(totals.get('reads'))} ADC conversions; {count(totals.get('parameters'))} parameters.",
        "## Sites",
        markdown_table(_SITE_HEADER, (_site_cells(row) for row in report.rows), numeric=6),
    ]
    if clipped := clipping_lines(report):
        shares = [
            (line.title, line.worst if line.largest else "-", str(line.sites), share(line.median), share(line.largest))
            for line in clipped
        ]
        parts += [
            "## Clipped in calibration",
            markdown_table(("", "most at", "sites", "median site", "most"), shares, numeric=3),
        ]
    if costs := cost_lines(report):
        figures = [(line.title, line.models, line.share or "-", line.figure) for line in costs]
        parts += [
            "## Cost of one image",
            markdown_table(("", "model, and where measurements lay", "share", ""), figures, numeric=2),
        ]
    if scheduled := schedule_lines(report):
        on_chip = [(line.title, line.because, line.figure) for line in scheduled]
        parts += ["## Schedule on the chip", markdown_table(("", "from", ""), on_chip, numeric=1)]
        parts.append("\n".join(f"- {plain(note)}" for note in report.schedule.notes))
    if report.unmapped:
        lines = [(u.name, u.kind, u.reason, count(u.macs), share(u.share)) for u in report.unmapped]
        parts += [
            "## Not analog, and why",
            markdown_table(("site", "kind", "reason", "MACs", "share"), lines, numeric=2),
        ]
    if report.notes:
        lines_of_notes = [f"- {plain(where or 'model')}: {plain(text)}" for where, text in report.notes]
        parts += ["## Notes", "\n".join(lines_of_notes)]
    parts.append(plain(footer(report)))
    return "\n\n".join(part for part in parts if part) + "\n"


_TARGETS = ("_analog", "_integer", "_float")
_SITE_HEADER = (
    "site",
    "kind",
    "target",
    "bits w/x",
    "tiles",
    "bit plan",
    "K x N x groups",
    "MACs",
    "used",
    "reads",
    "energy",
    "latency",
)


def _site_cells(row: ReportRow) -> tuple[str, ...]:
    matrix = f"{row.k} x {row.n} x {row.groups}"
    used = share(row.utilisation) if row.utilisation is not None else "-"
    plan = bit_plan(row.reads_per_cell)
    return (
        row.name,
        row.kind,
        row.target,
        bits(row),
        tiles(row),
        plan,
        matrix,
        count(row.macs),
        used,
        count(row.reads),
        quantity(row.energy_j, "J") if row.energy_parts_j else "-",
        quantity(row.latency_s, "s") if row.target == "analog" else "-",
    )


def markdown_table(header: Sequence[str], lines: Iterable[Sequence[str]], *, numeric: int) -> str:
    """Return a Markdown table whose last ``numeric`` columns are right-aligned."""
    rule = ["---"] * (len(header) - numeric) + ["---:"] * numeric
    rows = [header, rule, *([plain(cell) for cell in line] for line in lines)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def plain(text: str) -> str:
    """Return text that Markdown shows as it is: names come from the model, and may hold anything."""
    flat = " ".join(text.split())
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>#|~" else c for c in flat).replace("&", "&amp;")


__all__ = [
    "CSV_COLUMNS",
    "Format",
    "footer",
    "from_json",
    "render",
    "to_csv",
    "to_html",
    "to_json",
    "to_markdown",
]
