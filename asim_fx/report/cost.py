"""What a mapping costs, as figures of its rows and of the whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from asim_fx.cost.area import arrays_of
from asim_fx.cost.estimate import SiteCost, site_cost
from asim_fx.cost.figure import Figure, total
from asim_fx.ir import SitePlan, Target
from asim_fx.report.rows import MappingReport, ReportRow
from asim_fx.report.words import area, quantity, share

TITLES = {
    "column": "columns with converters",
    "adc": "converters",
    "array": "arrays and drivers",
    "accumulation": "adders",
    "digital": "digital logic",
    "loading": "writing activations",
}
PARTS = tuple(TITLES)
_DIGITS = 9


def cost_fields(calls: Sequence[SitePlan]) -> dict[str, Any]:
    """Return the cost fields of the row of some calls that were decided alike. All hold the same arrays."""
    costs = [cost for cost in map(site_cost, calls) if cost is not None]
    if not costs:
        return {}
    first, plan = costs[0], calls[0]
    energy = total(cost.energy.total_j for cost in costs)
    latencies = [cost.latency for cost in costs if cost.latency is not None]
    analog = plan.target is Target.ANALOG
    return {
        "energy_j": _rounded(energy),
        "energy_low_j": _rounded(total(cost.energy.low_j for cost in costs)),
        "energy_high_j": _rounded(total(cost.energy.high_j for cost in costs)),
        "energy_parts_j": _parts(costs),
        "tops_per_w": _efficiency(sum(call.site.macs for call in calls), energy),
        "setup_energy_j": _value(first.setup),
        "latency_s": _rounded(total(one.value for one in latencies)) if analog else None,
        "latency_low_s": _rounded(total(one.low for one in latencies)) if analog else None,
        "latency_high_s": _rounded(total(one.high for one in latencies)) if analog else None,
        "arrays": arrays_of(plan) if analog else None,
        "area_mm2": _value(first.area),
        "adc_area_mm2": _value(first.adc_area),
        "cost_models": {name: str(figure) for name, figure in _figures(first).items()},
    }


def cost_notes(calls: Sequence[SitePlan]) -> list[str]:
    """Return what must be said about the cost of some calls."""
    return [note for cost in map(site_cost, calls) if cost is not None for note in cost.notes]


def cost_totals(rows: Iterable[ReportRow]) -> dict[str, float | int | None]:
    """Return the cost of all rows that are on the chip: analog and integer ones. Times are the schedule's."""
    on_chip = [row for row in rows if row.target != Target.FLOAT.value]
    analog = [row for row in on_chip if row.target == Target.ANALOG.value]
    energy = _sum(row.energy_j for row in on_chip)
    parts = {
        f"energy_{part}_j": _sum(row.energy_parts_j[part] for row in on_chip if part in row.energy_parts_j)
        for part in PARTS
    }
    return {
        "energy_j": energy,
        "energy_low_j": _sum(row.energy_low_j for row in on_chip),
        "energy_high_j": _sum(row.energy_high_j for row in on_chip),
        **parts,
        "sites_without_energy": sum(row.energy_j is None for row in rows),
        "setup_energy_j": _sum(row.setup_energy_j for row in analog if "setup" in row.cost_models),
        "arrays": sum(row.arrays or 0 for row in analog),
        "area_mm2": _sum(row.area_mm2 for row in analog),
        "adc_area_mm2": _sum(row.adc_area_mm2 for row in analog),
    }


@dataclass(frozen=True, slots=True)
class CostLine:
    """One line of the summary of a mapping's cost, in words: what, how much, and by which models in what bands."""

    title: str
    figure: str
    share: str
    models: str


def cost_lines(report: MappingReport) -> list[CostLine]:
    """Return the cost of a mapping, part by part; nothing where no site is on the chip."""
    totals = report.totals
    energy = totals.get("energy_j")
    lines = []
    for part in PARTS:
        if not any(part in row.energy_parts_j for row in report.rows):
            continue
        value = totals.get(f"energy_{part}_j")
        of_all = share(value / energy) if energy and value is not None else "-"
        lines.append(CostLine(f"energy, {TITLES[part]}", quantity(value, "J"), of_all, _models(report, part)))
    if not lines:
        return []
    band = banded(totals.get("energy_low_j"), totals.get("energy_high_j"), "J")
    lines.insert(0, CostLine("energy", quantity(energy, "J"), "", band))
    whole = (
        ("latency", "latency", quantity(totals.get("latency_s"), "s")),
        ("area", "area", area(totals.get("area_mm2"))),
        ("area, converters", "adc_area", area(totals.get("adc_area_mm2"))),
        ("energy of writing the weights, once", "setup", quantity(totals.get("setup_energy_j"), "J")),
    )
    return lines + [
        CostLine(title, figure, "", models) for title, key, figure in whole if (models := _models(report, key))
    ]


def banded(low: float | None, high: float | None, unit: str) -> str:
    """Return a band in words, or nothing where it is unknown."""
    return "" if low is None or high is None else f"{quantity(low, unit)} to {quantity(high, unit)}"


def _models(report: MappingReport, part: str) -> str:
    return "; ".join(dict.fromkeys(row.cost_models[part] for row in report.rows if part in row.cost_models))


def _figures(cost: SiteCost) -> dict[str, Figure]:
    more = {"latency": cost.latency, "area": cost.area, "adc_area": cost.adc_area, "setup": cost.setup}
    return {**cost.energy.parts(), **{name: figure for name, figure in more.items() if figure is not None}}


def _parts(costs: Sequence[SiteCost]) -> dict[str, float | None]:
    names = dict.fromkeys(name for cost in costs for name in cost.energy.parts())
    found = [cost.energy.parts() for cost in costs]
    return {name: _rounded(total(parts[name].value for parts in found if name in parts)) for name in names}


def _efficiency(macs: int, energy_j: float | None) -> float | None:
    return _rounded(2e-12 * macs / energy_j) if energy_j else None


def _value(figure: Figure | None) -> float | None:
    return None if figure is None else _rounded(figure.value)


def _sum(values: Iterable[float | None]) -> float | None:
    """Return the sum; None where a row is unknown, or where there is none at all."""
    found = list(values)
    return _rounded(total(found)) if found else None


def _rounded(value: float | None) -> float | None:
    """Return a figure in as many digits as are the same on every platform."""
    return None if value is None else float(f"{value:.{_DIGITS}g}")
