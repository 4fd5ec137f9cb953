"""The schedule in words: what one image and a stream of images take of the chip."""

from __future__ import annotations

from dataclasses import dataclass

from asim_fx.mapping.schedule import Pool, Schedule
from asim_fx.report.cost import banded
from asim_fx.report.rows import MappingReport
from asim_fx.report.words import UNKNOWN, count, efficiency, quantity, share


@dataclass(frozen=True, slots=True)
class ScheduleLine:
    """One line of the summary of a schedule: what, how much, and what it follows from."""

    title: str
    figure: str
    because: str = ""


def schedule_lines(report: MappingReport) -> list[ScheduleLine]:
    """Return the figures of a schedule; nothing where no site is analog."""
    made = report.schedule
    if not made.slots:
        return []
    low_high = banded(made.latency_low_s, made.latency_high_s, "s")
    lines = [
        ScheduleLine("latency", quantity(made.latency_s, "s"), low_high),
        ScheduleLine("latency, one site after another", quantity(made.sequential_s, "s")),
        ScheduleLine("throughput", _rate(made), _interval(made)),
        ScheduleLine("energy for one image", quantity(made.energy_j_per_image, "J"), _reloading(made)),
        ScheduleLine("efficiency", efficiency(made.tops_per_w), "2 operations for each MAC"),
        ScheduleLine("macros", f"{made.macros_used:,}", "; ".join(_pool(pool) for pool in made.pools)),
        ScheduleLine("at work", share(made.mean_utilisation), _stream(made)),
    ]
    if made.reloads:
        rounds = len(made.rounds)
        lines.append(ScheduleLine("macros loaded again", f"{made.reloads:,}", f"weights, in {rounds} rounds"))
    if made.activation_loads:
        lines.append(ScheduleLine("macros written", f"{made.activation_loads:,}", "activations that are stored"))
    lines.append(ScheduleLine("activation buffer", _bytes(made.buffer_bytes), _buffer(made)))
    return lines


def _rate(made: Schedule) -> str:
    return UNKNOWN if made.images_per_s is None else f"{count(made.images_per_s).rstrip()} images/s"


def _interval(made: Schedule) -> str:
    if made.interval_s is None:
        return ""
    if not made.bottleneck:
        return "one image after another, as weights are loaded again for each"
    return f"one every {quantity(made.interval_s, 's')}, set by {made.bottleneck}"


def _reloading(made: Schedule) -> str:
    return f"{quantity(made.reload_energy_j, 'J')} of it for loading" if made.reload_energy_j else ""


def _pool(pool: Pool) -> str:
    there = "as many as needed" if pool.count is None else f"of {pool.count:,}"
    return f"{pool.macro}: {there}; one copy takes {pool.needed:,}"


def _stream(made: Schedule) -> str:
    return f"of the macros, on average; {share(made.pipelined_utilisation)} in a stream of images"


def _bytes(size: int | None) -> str:
    return UNKNOWN if size is None else f"{size / 1024:,.1f} KiB"


def _buffer(made: Schedule) -> str:
    where = f"at {made.buffer_at}" if made.buffer_at else ""
    if made.buffer_limit_bytes is None:
        return where
    return f"{where}, of {made.buffer_limit_bytes / 1024:,.1f} KiB"
