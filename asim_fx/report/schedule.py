"""From the plans of a model to its schedule, and from the schedule to figures of the whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar, cast

from asim_fx.cost.figure import Figure
from asim_fx.cost.latency import rows_write_s, vector_s
from asim_fx.cost.weight_loading import write_energy_j
from asim_fx.ir import SitePlan, Target
from asim_fx.mapping.build import schedule_calls
from asim_fx.mapping.liveness import peak_of
from asim_fx.mapping.placement import groups_per_macro, macros_of
from asim_fx.mapping.schedule import Round, Schedule, Slot
from asim_fx.mapping.workload import Call, Layer, Span, Workload
from asim_fx.report.activations import operations_of
from asim_fx.report.order import waits_of
from asim_fx.report.rows import Dataflow
from asim_fx.report.schedule_notes import schedule_notes
from asim_fx.spec.base import known
from asim_fx.spec.schema import HardwareSpec

_DIGITS = 9
_KIB = 1024
Value = TypeVar("Value")


def schedule_of(
    rows: Sequence[Sequence[SitePlan]],
    plans: Sequence[SitePlan],
    spec: HardwareSpec,
    flow: Dataflow,
    energy_j: float | None,
) -> Schedule:
    """Return the schedule of a model on the macros of its spec.

    Args:
        rows: the calls of each row of the report.
        plans: all calls, in graph order.
        spec: which macros there are.
        flow: what needs what; where it is empty, sites follow one another.
        energy_j: of all rows for one image; None where a part is not known.
    """
    workload = workload_of(rows, plans, spec, flow)
    made = schedule_calls(workload)
    peak = peak_of(operations_of(flow, plans))
    limit = known(spec.mapping.buffer_kib)
    reload = made.reload_energy_j
    energy = None if energy_j is None or reload is None else energy_j + reload
    macs = sum(plan.site.macs for plan in plans if plan.target is not Target.FLOAT)
    made = replace(
        made,
        energy_j_per_image=energy,
        tops_per_w=2e-12 * macs / energy if energy else None,
        buffer_bytes=peak.size if flow.nodes else None,
        buffer_at=peak.label,
        buffer_limit_bytes=None if limit is None else int(limit * _KIB),
    )
    return _rounded(replace(made, notes=tuple(schedule_notes(made, plans, spec, flow))))


def workload_of(
    rows: Sequence[Sequence[SitePlan]], plans: Sequence[SitePlan], spec: HardwareSpec, flow: Dataflow
) -> Workload:
    """Return what there is to schedule: the analog sites. Arguments as in ``schedule_of``."""
    analog = [calls for calls in rows if calls[0].target is Target.ANALOG and calls[0].tiles is not None]
    layer_of = {id(plan): number for number, calls in enumerate(analog) for plan in calls}
    mine = [plan for plan in plans if id(plan) in layer_of]
    waits = waits_of([plan.site.label for plan in mine], flow)
    layers = tuple(_layer(calls[0], spec) for calls in analog)
    counts = {name: macro.count for name, macro in spec.macros.items()}
    used = dict.fromkeys(
        [*(name for name, count in counts.items() if count != "unlimited"), *(layer.macro for layer in layers)]
    )
    rate = known(spec.mapping.load_gbit_per_s)
    return Workload(
        layers=layers,
        calls=tuple(
            Call(plan.site.label, layer_of[id(plan)], plan.site.vectors, _span(vector_s(plan)), after)
            for plan, after in zip(mine, waits, strict=True)
        ),
        counts={name: None if isinstance(count := counts.get(name, "unlimited"), str) else count for name in used},
        load_bits_per_s=None if rate is None else 1e9 * rate,
        duplicate=spec.mapping.duplicate,
    )


def _layer(plan: SitePlan, spec: HardwareSpec) -> Layer:
    site, settings, packing = plan.site, plan.settings, spec.mapping.pack
    rows = min(site.k * groups_per_macro(plan, packing), settings.macro.rows)
    bits = site.k * site.n * site.groups * settings.weight_bits
    bringing = known(spec.mapping.load_pj_per_bit) if site.static_weight else None
    writing = write_energy_j(plan).value
    return Layer(
        name=site.label,
        macro=settings.macro_name,
        macros=macros_of(plan, packing),
        stays=site.static_weight,
        write=_span(rows_write_s(settings, rows)),
        bits=bits,
        load_j=None if writing is None else writing + 1e-12 * (bringing or 0.0) * bits,
    )


def _span(figure: Figure) -> Span:
    return Span(figure.value, figure.low, figure.high)


def schedule_totals(made: Schedule) -> dict[str, Any]:
    """Return the figures of the schedule that belong to the totals of a report."""
    energy, size = made.energy_j_per_image, made.buffer_bytes
    return _rounded(
        {
            "tops_per_w": made.tops_per_w,
            "latency_s": made.latency_s,
            "latency_low_s": made.latency_low_s,
            "latency_high_s": made.latency_high_s,
            "sequential_s": made.sequential_s,
            "interval_s": made.interval_s,
            "images_per_s": made.images_per_s,
            "mj_per_image": None if energy is None else 1e3 * energy,
            "energy_reload_j": made.reload_energy_j,
            "macros_used": made.macros_used,
            "macros_needed": sum(pool.needed for pool in made.pools),
            "rounds": len(made.rounds),
            "reloads": made.reloads,
            "activation_loads": made.activation_loads,
            "mean_utilisation": made.mean_utilisation,
            "pipelined_utilisation": made.pipelined_utilisation,
            "buffer_kib": None if size is None else size / _KIB,
        }
    )


def _rounded(value: Value) -> Value:
    """Return values with all figures in as many digits as are the same on every platform."""
    return cast("Value", _plain_rounded(value))


def _plain_rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}")
    if isinstance(value, tuple):
        return tuple(map(_plain_rounded, value))
    if isinstance(value, dict):
        return {key: _plain_rounded(item) for key, item in value.items()}
    if isinstance(value, (Schedule, Slot, Round)):
        return replace(value, **{field.name: _plain_rounded(getattr(value, field.name)) for field in fields(value)})
    return value
