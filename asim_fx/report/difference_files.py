"""The difference of two mappings as text: JSON, CSV and Markdown; and for a terminal."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from asim_fx.report.difference import Difference, FieldChange
from asim_fx.report.difference_words import (
    cost_lines,
    counted,
    headings,
    mapping_lines,
    spec_lines,
    total_lines,
)
from asim_fx.report.files import markdown_table, plain
from asim_fx.report.fitting import Column, fitted_table
from asim_fx.report.words import printable

_ELSEWHERE = "a wider terminal or --report csv shows them"
_COST_TITLES = ("site", "ADC reads", "energy", "latency")
_NO_SPEC = "The specs are not compared: a report holds none. These are the settings of the sites."


def to_json(difference: Difference) -> str:
    """Return all of it as JSON; what is not known, or is not there, is null."""
    sites = [
        {"name": site.name, "decisions": _listed(site.decisions), "figures": _listed(site.figures)}
        for site in difference.sites
    ]
    data = {
        **{
            key: {"path": saved.path, "model": saved.report.model, "spec": saved.report.spec}
            for key, saved in (("a", difference.a), ("b", difference.b))
        },
        "differ": bool(difference),
        "spec": _listed(difference.spec),
        "spec_known": difference.spec_known,
        "totals": _listed(difference.totals),
        "sites": sites,
        "same_sites": difference.same_sites,
        "only_a": list(difference.only_a),
        "only_b": list(difference.only_b),
    }
    return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def to_csv(difference: Difference) -> str:
    """Return one line for each value that differs: what it belongs to, its name there, A and B; ended by CRLF."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(("part", "site", "field", "a", "b", "relative_change"))
    writer.writerows(_csv_line("spec", "", change) for change in difference.spec)
    writer.writerows(_csv_line("total", "", change) for change in difference.totals)
    for site in difference.sites:
        writer.writerows(_csv_line("site", site.name, change) for change in (*site.decisions, *site.figures))
    writer.writerows(("only_a", name, "", "", "", "") for name in difference.only_a)
    writer.writerows(("only_b", name, "", "", "", "") for name in difference.only_b)
    return out.getvalue()


def to_markdown(difference: Difference) -> str:
    """Return it as GitHub tables."""
    parts = ["# Difference of two mappings", "\n".join(f"- {plain(line)}" for line in headings(difference))]
    if not difference:
        parts.append("They do not differ.")
    if difference.spec:
        parts += ["## Spec", *([] if difference.spec_known else [_NO_SPEC])]
        parts.append(markdown_table(("field", "A", "B", "sites"), spec_lines(difference), numeric=1))
    parts += ["## Totals", markdown_table(("", "A", "B", "change"), total_lines(difference), numeric=3)]
    if mapped := mapping_lines(difference):
        parts += ["## Mapped otherwise", markdown_table(("change", "at"), mapped, numeric=0)]
    if costs := cost_lines(difference):
        parts += ["## Costs of sites", markdown_table(_COST_TITLES, costs, numeric=3)]
    parts.append(_same(difference))
    for name, sites in (("A", difference.only_a), ("B", difference.only_b)):
        if sites:
            parts.append(f"Only in {name}: {plain(counted(sites))}")
    return "\n\n".join(parts) + "\n"


def renderable(difference: Difference, width: int) -> RenderableType:
    """Return it as rich tables in lines of at most ``width`` characters."""
    parts: list[RenderableType] = [Text("\n".join(map(printable, headings(difference))) + "\n", style="bold")]
    if not difference:
        parts.append(Text("They do not differ.\n"))
    if difference.spec:
        parts += [] if difference.spec_known else [Text(_NO_SPEC)]
        titles = ("field", "A", "B") if difference.spec_known else ("field", "A", "B", "sites")
        parts.append(_table("Spec", titles, spec_lines(difference), width, least=width // 4))
    parts.append(_table("Totals", ("", "A", "B", "change"), total_lines(difference), width, right=3))
    if mapped := mapping_lines(difference):
        parts.append(_table("Mapped otherwise", ("change", "at"), mapped, width, least=width // 3))
    if costs := cost_lines(difference):
        cells = list(zip(*costs, strict=True))
        columns = [Column("site", list(map(printable, cells[0])), least=24)]
        columns += [Column(_COST_TITLES[place], cells[place], place - 1, right=True) for place in (1, 2, 3)]
        parts.append(fitted_table(columns, width, title="Costs of sites", elsewhere=_ELSEWHERE))
    parts.append(Text(_same(difference)))
    for name, sites in (("A", difference.only_a), ("B", difference.only_b)):
        if sites:
            parts.append(Text(f"Only in {name}: {printable(counted(sites))}"))
    return Group(*parts)


def _table(
    title: str,
    titles: Sequence[str],
    lines: Iterable[Sequence[str]],
    width: int,
    *,
    least: int | None = None,
    right: int = 0,
) -> RenderableType:
    cells = [list(map(printable, column)) for column in zip(*lines, strict=True)]
    first_right = len(titles) - right
    columns = [
        Column(name, cells[place], right=place >= first_right, least=None if place >= first_right else least)
        for place, name in enumerate(titles)
    ]
    return fitted_table(columns, width, title=title, elsewhere=_ELSEWHERE)


def _same(difference: Difference) -> str:
    shared = len(difference.sites) + difference.same_sites
    return f"{shared} sites are in both: {len(difference.sites)} differ, {difference.same_sites} do not."


def _listed(changes: Iterable[FieldChange]) -> list[dict[str, Any]]:
    return [
        {key: value for key, value in asdict(change).items() if key != "sites" or value is not None}
        | {"relative_change": change.change}
        for change in changes
    ]


def _csv_line(part: str, site: str, change: FieldChange) -> tuple[object, ...]:
    values = (json.dumps(value) if isinstance(value, (list, tuple, dict)) else value for value in (change.a, change.b))
    return (part, site, change.field, *values, change.change)
