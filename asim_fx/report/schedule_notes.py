"""What must be said about a schedule: what it assumes, and what it lacks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from asim_fx.cost.latency import vector_s
from asim_fx.ir import SitePlan, Target
from asim_fx.mapping.schedule import Schedule
from asim_fx.report.rows import Dataflow
from asim_fx.spec.base import known
from asim_fx.spec.schema import HardwareSpec


def schedule_notes(made: Schedule, plans: Sequence[SitePlan], spec: HardwareSpec, flow: Dataflow) -> Iterator[str]:
    """Say what a schedule assumes and what it lacks, in words.

    Args:
        made: the schedule.
        plans: all calls of sites.
        spec: which macros there are.
        flow: what needs what.
    """
    if not made.slots:
        return
    for target in (Target.INTEGER, Target.FLOAT):
        if count := sum(plan.target is target for plan in plans):
            yield f"the time of {_many(count, f'{target.value} site')} is not known and not included"
    if made.latency_s is None:
        first = next(plan for plan in plans if plan.target is Target.ANALOG and vector_s(plan).value is None)
        yield f"times are not known: {first.site.label}: {vector_s(first).model}"
    if not flow.nodes:
        yield "what needs what is not known: sites follow one another"
    if made.reloads:
        yield from _too_few(made, spec)
    need, limit = made.buffer_bytes, made.buffer_limit_bytes
    if need is not None and limit is not None and need > limit:
        yield (
            f"the activation buffer is too small: {need / 1024:,.1f} KiB are needed at {made.buffer_at}, and "
            f"`mapping.buffer_kib` is {limit / 1024:g}"
        )


def _too_few(made: Schedule, spec: HardwareSpec) -> Iterator[str]:
    short = [pool for pool in made.pools if pool.count is not None and pool.needed > pool.count]
    pools = ", ".join(f"{pool.count:,} of `{pool.macro}`, which {pool.needed:,} would hold" for pool in short)
    rounds = _many(len(made.rounds), "round")
    yield f"too few macros ({pools}): weights are loaded again for each image, in {rounds}"
    fields = ("load_gbit_per_s", "load_pj_per_bit")
    missing = [f"`mapping.{name}`" for name in fields if known(getattr(spec.mapping, name)) is None]
    if missing:
        yield f"bringing weights to the chip is not included: {' and '.join(missing)} unknown"


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' if count > 1 else ''}"
