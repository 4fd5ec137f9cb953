"""What differs between two mappings: fields of the spec, totals, and sites."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from asim_fx.report.rows import ReportRow
from asim_fx.report.saved import SavedReport

_DECISIONS = (
    "kind", "calls", "k", "n", "groups", "vectors", "macs", "target", "reason", "signed", "weight_signed",
    "weight_bits", "input_bits", "input_encoding", "scale", "macro", "rows", "columns", "adc_bits", "row_tiles",
    "column_tiles", "reads_per_cell", "vote",
)  # fmt: skip
_FIGURES = (
    "reads", "utilisation", "energy_j", "energy_low_j", "energy_high_j", "setup_energy_j", "latency_s", "arrays",
    "area_mm2", "adc_area_mm2",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A value that differs.

    Attributes:
        field: what it is called.
        a: its value in the first mapping; None where unknown, not applicable, or not there at all.
        b: in the second.
        sites: at how many sites, for a setting that was only found there.
    """

    field: str
    a: Any
    b: Any
    sites: int | None = None

    @property
    def change(self) -> float | None:
        """Relative change of a figure: 0.1 is 10 % more; None where that means nothing."""
        figures = [value for value in (self.a, self.b) if isinstance(value, (int, float))]
        return figures[1] / figures[0] - 1 if len(figures) == 2 and figures[0] else None


@dataclass(frozen=True, slots=True)
class SiteChange:
    """A site that both mappings have, and that they map otherwise or at another cost.

    Attributes:
        name: of its row.
        decisions: how it is mapped: target, bits, tiles, plan.
        figures: what it costs.
    """

    name: str
    decisions: tuple[FieldChange, ...]
    figures: tuple[FieldChange, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """Two mappings side by side.

    Attributes:
        a: the first one.
        b: the second one.
        spec: fields of the spec that differ; where one of the two has no spec, settings of the sites.
        spec_known: whether ``spec`` compares the specs themselves.
        totals: every total, equal ones too.
        sites: those that differ, in the order of the first mapping.
        same_sites: how many do not differ.
        only_a: names of the sites that only the first has.
        only_b: of those that only the second has.
    """

    a: SavedReport
    b: SavedReport
    spec: tuple[FieldChange, ...]
    spec_known: bool
    totals: tuple[FieldChange, ...]
    sites: tuple[SiteChange, ...]
    same_sites: int
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]

    @property
    def changed_totals(self) -> tuple[FieldChange, ...]:
        """The totals that are not equal."""
        return tuple(total for total in self.totals if total.a != total.b)

    def __bool__(self) -> bool:
        """Whether there is any difference."""
        return bool(self.spec or self.changed_totals or self.sites or self.only_a or self.only_b)


def compare(a: SavedReport, b: SavedReport) -> Difference:
    """Return what differs. Sites are the same where their names are; who decided, and where, is not compared."""
    before = {row.name: row for row in a.report.rows}
    after = {row.name: row for row in b.report.rows}
    shared = [name for name in before if name in after]
    sites = [
        SiteChange(name, _changes(_values(before[name], _DECISIONS), _values(after[name], _DECISIONS)), figures)
        for name in shared
        for figures in [_changes(_values(before[name], _FIGURES), _values(after[name], _FIGURES))]
    ]
    changed = tuple(site for site in sites if site.decisions or site.figures)
    pairs = [(before[name], after[name]) for name in shared]
    return Difference(
        a=a,
        b=b,
        spec=_spec_changes(a.spec, b.spec) if a.spec is not None and b.spec is not None else _settings(pairs),
        spec_known=a.spec is not None and b.spec is not None,
        totals=_side_by_side(a.report.totals, b.report.totals),
        sites=changed,
        same_sites=len(shared) - len(changed),
        only_a=tuple(name for name in before if name not in after),
        only_b=tuple(name for name in after if name not in before),
    )


def _values(row: ReportRow, names: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}


def _side_by_side(a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[FieldChange, ...]:
    return tuple(FieldChange(name, a.get(name), b.get(name)) for name in dict.fromkeys([*a, *b]))


def _changes(a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[FieldChange, ...]:
    return tuple(pair for pair in _side_by_side(a, b) if pair.a != pair.b)


def _settings(pairs: Iterable[tuple[ReportRow, ReportRow]]) -> tuple[FieldChange, ...]:
    """Return the settings that differ at the sites, and at how many each; those of both only."""
    found: dict[str, tuple[FieldChange, int]] = {}
    for before, after in pairs:
        if before.target != after.target:
            continue
        for change in _changes(before.settings, after.settings):
            key = json.dumps([change.field, change.a, change.b], default=str)
            found[key] = (change, found.get(key, (change, 0))[1] + 1)
    return tuple(FieldChange(change.field, change.a, change.b, sites) for change, sites in found.values())


def _spec_changes(a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[FieldChange, ...]:
    """Return the fields that differ. A rule is known by what it matches; one that only one spec has is one field."""
    before, after = (leaves({key: value for key, value in spec.items() if key != "rules"}) for spec in (a, b))
    rules_before, rules_after = _rules(a), _rules(b)
    for name in dict.fromkeys([*rules_before, *rules_after]):
        if name in rules_before and name in rules_after:
            before |= leaves(rules_before[name], f"{name}.")
            after |= leaves(rules_after[name], f"{name}.")
        elif name in rules_before:
            before[name] = rules_before[name]
        else:
            after[name] = rules_after[name]
    return _changes(before, after)


def _rules(document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what each rule changes, by what it matches."""
    rules: dict[str, dict[str, Any]] = {}
    for rule in document.get("rules", ()):
        said = ", ".join(f"{key} {value}" for key, value in rule["match"].items() if value is not None)
        name = f"rules[{said}]"
        while name in rules:
            name += "'"
        rules[name] = {key: value for key, value in rule.items() if key != "match" and value is not None}
    return rules


def leaves(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the values of a document by dotted field."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        inner = isinstance(value, Mapping) and value
        found |= leaves(value, f"{prefix}{key}.") if inner else {f"{prefix}{key}": value}
    return found
