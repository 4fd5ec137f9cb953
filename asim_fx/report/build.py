"""Make the report of a model from the plans of its sites."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from asim_fx.encoding import columns_per_output
from asim_fx.ir import ConvGeometry, SitePlan, Target
from asim_fx.passlog import FoldedOp, UncapturedOp
from asim_fx.report.cost import cost_fields, cost_notes, cost_totals
from asim_fx.report.rows import Dataflow, MappingReport, ReportRow, UnmappedRow
from asim_fx.report.schedule import schedule_of, schedule_totals
from asim_fx.spec.schema import HardwareSpec, SiteSettings

NO_REASON = "unknown: the passes left no reason"


def build_report(
    plans: Sequence[SitePlan],
    *,
    model: str,
    spec: HardwareSpec,
    parameters: int | None,
    folded: Sequence[FoldedOp] = (),
    uncaptured: Sequence[UncapturedOp] = (),
    notes: Sequence[tuple[str, str]] = (),
    dataflow: Dataflow | None = None,
    verification: str = "",
    versions: Mapping[str, str] | None = None,
    engine: str = "",
) -> MappingReport:
    """Return the report of one converted model.

    Calls of one name that were decided alike make one row. A call that was decided otherwise (its input is
    proven non-negative and the first one's is not, say) has a row of its own under its label, ``name@call``.

    Args:
        plans: one for each call of a site, in graph order.
        model: name of the model.
        spec: what the plans were resolved from.
        parameters: number of parameters of the model, or None where it is not known.
        folded: products computed while compiling.
        uncaptured: products of modules that are in no graph.
        notes: (module, text) pairs.
        dataflow: the drawing, see ``asim_fx.report.dataflow.simplify``.
        verification: what was checked of the capture, in words.
        versions: package -> version.
        engine: what computes the simulation, and why.
    """
    calls_of_rows = _alike(plans)
    rows = tuple(_row(calls) for calls in calls_of_rows)
    totals = _totals(rows, folded, uncaptured, parameters)
    schedule = schedule_of(calls_of_rows, plans, spec, dataflow or Dataflow(), totals["energy_j"])
    return MappingReport(
        model=model,
        spec=spec.name,
        rows=rows,
        totals=totals | schedule_totals(schedule),
        unmapped=_unmapped(rows, folded, uncaptured, totals["macs"]),
        notes=(*notes, *_stand_ins(spec)),
        dataflow=dataflow or Dataflow(),
        verification=verification,
        versions=dict(versions or {}),
        engine=engine,
        schedule=schedule,
    )


def _stand_ins(spec: HardwareSpec) -> list[tuple[str, str]]:
    """Return a note on what nobody published about a chip, and the spec therefore makes up."""
    fields = () if spec.chip is None else spec.chip.unpublished()
    return [("spec", f"not published, and simulated as the spec has it: {', '.join(fields)}")] if fields else []


def _alike(plans: Iterable[SitePlan]) -> list[list[SitePlan]]:
    """Group the calls of one name that were decided alike, in order of the first call."""
    groups: list[list[SitePlan]] = []
    by_name: dict[str, list[list[SitePlan]]] = {}
    for plan in plans:
        mine = by_name.setdefault(plan.site.name, [])
        found = next((group for group in mine if _decision(group[0]) == _decision(plan)), None)
        if found is None:
            mine.append([plan])
            groups.append(mine[-1])
        else:
            found.append(plan)
    return groups


def _decision(plan: SitePlan) -> tuple[object, ...]:
    site = plan.site
    matrix = (site.kind, site.op, site.k, site.n, site.groups)
    return (
        plan.target,
        plan.reason,
        plan.settings,
        plan.signed,
        plan.weight_signed,
        plan.tiles,
        plan.bits,
        *matrix,
    )


def _row(calls: Sequence[SitePlan]) -> ReportRow:
    plan = calls[0]
    site, settings, tiles, bits = plan.site, plan.settings, plan.tiles, plan.bits
    analog = plan.target is Target.ANALOG
    quantised = plan.target is not Target.FLOAT
    return ReportRow(
        name=site.label,
        kind=site.kind.value,
        op=site.op,
        calls=len(calls),
        input_shape=site.input_shape,
        weight_shape=site.weight_shape,
        output_shape=site.output_shape,
        k=site.k,
        n=site.n,
        groups=site.groups,
        vectors=sum(call.site.vectors for call in calls),
        macs=sum(call.site.macs for call in calls),
        geometry=_geometry(site.geometry),
        weights=site.k * site.n * site.groups if site.static_weight else None,
        target=plan.target.value,
        reason="" if analog else plan.reason or NO_REASON,
        decided_by=plan.decided_by or "defaults",
        why=plan.why,
        signed=plan.signed if quantised else None,
        signed_because=plan.signed_because if quantised else "",
        weight_signed=plan.weight_signed if quantised else None,
        weight_bits=settings.weight_bits if quantised else None,
        input_bits=settings.input_bits if quantised else None,
        input_encoding=settings.input_encoding if analog else None,
        scale=settings.scale if quantised else None,
        macro=settings.macro_name if analog else None,
        rows=tiles.rows if analog and tiles else None,
        columns=tiles.columns if analog and tiles else None,
        adc_bits=settings.macro.adc.bits if analog else None,
        row_tiles=tiles.row_tiles if analog and tiles else None,
        column_tiles=tiles.column_tiles if analog and tiles else None,
        utilisation=tiles.utilisation if analog and tiles else None,
        columns_per_output=columns_per_output(plan) if analog else None,
        cycles=bits.weight_planes * bits.input_planes if analog and bits else None,
        cells_digital=bits.digital_cells if analog and bits else None,
        cells_voted=bits.voted_cells if analog and bits else None,
        cells_analog=bits.analog_cells if analog and bits else None,
        vote=bits.vote if analog and bits and bits.voted_cells else "",
        reads_per_cell=bits.reads if analog and bits else None,
        reads=sum(call.reads for call in calls),
        **cost_fields(calls),
        settings=_flat(settings, analog=analog) if quantised else {},
        provenance=dict(plan.provenance),
        notes=_notes(calls),
    )


def _notes(calls: Sequence[SitePlan]) -> tuple[str, ...]:
    notes = dict.fromkeys([*(note for call in calls for note in call.notes), *cost_notes(calls)])
    if any(call.site.input_shape != calls[0].site.input_shape for call in calls):
        notes[f"shapes are those of the first of {len(calls)} calls"] = None
    return tuple(notes)


def _geometry(geometry: ConvGeometry | None) -> str:
    if geometry is None:
        return ""
    parts = ["x".join(map(str, geometry.kernel))]
    if any(step != 1 for step in geometry.stride):
        parts.append(f"stride {_sizes(geometry.stride)}")
    if any(pad != (0, 0) for pad in geometry.padding):
        sides = tuple(before if before == after else f"{before}+{after}" for before, after in geometry.padding)
        parts.append(f"padding {_sizes(sides)}")
    if any(distance != 1 for distance in geometry.dilation):
        parts.append(f"dilation {_sizes(geometry.dilation)}")
    if geometry.output_padding is not None:
        parts.append("transposed")
        if any(geometry.output_padding):
            parts.append(f"output padding {_sizes(geometry.output_padding)}")
    return ", ".join(parts)


def _sizes(values: Sequence[object]) -> str:
    return str(values[0]) if len(set(values)) == 1 else "x".join(map(str, values))


def _flat(settings: SiteSettings, *, analog: bool) -> dict[str, Any]:
    """Return the settings by dotted field, named as in a spec; the macro's only where there is one."""
    tree = settings.model_dump()
    name = tree.pop("macro_name")
    macro = tree.pop("macro")
    if not analog:
        digital = ("target", "weight_bits", "input_bits", "signed", "scale", "weight_scale")
        return {**{key: tree[key] for key in digital}, **_leaves(tree["calibration"], "calibration.")}
    return {**_leaves(tree), "macro": name, **_leaves(macro, "macro.")}


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in tree.items():
        if key == "measured":  # operating points are in the spec; here they would repeat at every site
            value = f"{len(value)} operating points"
        found |= _leaves(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return found


def _totals(
    rows: Sequence[ReportRow],
    folded: Sequence[FoldedOp],
    uncaptured: Sequence[UncapturedOp],
    parameters: int | None,
) -> dict[str, Any]:
    macs = {target: sum(row.macs for row in rows if row.target == target.value) for target in Target}
    macs[Target.FLOAT] += sum(op.macs for op in uncaptured)
    sites = {target: sum(row.target == target.value for row in rows) for target in Target}
    constant = sum(op.macs for op in folded)
    total = sum(macs.values()) + constant
    return {
        "macs": total,
        "macs_analog": macs[Target.ANALOG],
        "macs_integer": macs[Target.INTEGER],
        "macs_float": macs[Target.FLOAT],
        "macs_constant": constant,
        "macs_digital": total - macs[Target.ANALOG],
        "analog_share": macs[Target.ANALOG] / total if total else None,
        "sites": len(rows),
        "sites_analog": sites[Target.ANALOG],
        "sites_integer": sites[Target.INTEGER],
        "sites_float": sites[Target.FLOAT],
        "reads": sum(row.reads for row in rows),
        "cells_analog": sum(row.cells_analog or 0 for row in rows),
        "cells_voted": sum(row.cells_voted or 0 for row in rows),
        "cells_digital": sum(row.cells_digital or 0 for row in rows),
        "parameters": parameters,
        **cost_totals(rows),
    }


def _unmapped(
    rows: Sequence[ReportRow], folded: Sequence[FoldedOp], uncaptured: Sequence[UncapturedOp], total: int
) -> tuple[UnmappedRow, ...]:
    def unmapped(name: str, kind: str, macs: int, reason: str) -> UnmappedRow:
        return UnmappedRow(name, kind, macs, macs / total if total else 0.0, reason)

    found = [
        unmapped(row.name, row.kind, row.macs, f"{row.target}: {row.reason}")
        for row in rows
        if row.target != Target.ANALOG.value
    ]
    found += [unmapped(op.name or "(model)", "module", op.macs, f"float: {op.reason}") for op in uncaptured]
    constants: dict[tuple[str, str], int] = {}
    for op in folded:
        constants[op.name, op.op] = constants.get((op.name, op.op), 0) + op.macs
    found += [
        unmapped(name, "constant", macs, f"computed once while compiling ({op})")
        for (name, op), macs in constants.items()
    ]
    return tuple(sorted(found, key=lambda row: -row.macs))
