"""Which share of the macros works, over time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from asim_fx.mapping.schedule import Slot


def utilisation_of(slots: Sequence[Slot], macros: int) -> tuple[tuple[float, float], ...]:
    """Return (time, share of the macros that work from then on) wherever the share changes; the last is (end, 0).

    Args:
        slots: of one image; those without times do not count.
        macros: of the chip.
    """
    changes: dict[float, int] = {0.0: 0}
    for slot in slots:
        if slot.start_s is not None and slot.end_s is not None:
            changes[slot.start_s] = changes.get(slot.start_s, 0) + slot.macros
            changes[slot.end_s] = changes.get(slot.end_s, 0) - slot.macros
    found: list[tuple[float, float]] = []
    working = 0
    for time in sorted(changes):
        working += changes[time]
        share = working / macros if macros else 0.0
        if not found or found[-1][1] != share:
            found.append((time, share))
    return tuple(found)


def mean_of(utilisation: Sequence[tuple[float, float]]) -> float | None:
    """Return the mean over time."""
    if not utilisation or utilisation[-1][0] <= 0:
        return None
    area = math.fsum(share * (later - time) for (time, share), (later, _) in itertools.pairwise(utilisation))
    return area / utilisation[-1][0]
