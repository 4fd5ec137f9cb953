"""Round figures along an axis."""

from __future__ import annotations

import math


def ticks(end: float, most: int = 5) -> list[float]:
    """Return round figures from 0 up to ``end``: 1, 2 or 5 times a power of ten apart, at most ``most`` + 1 of them."""
    if end <= 0:
        return [0.0]
    power = 10.0 ** math.floor(math.log10(end / most))
    steps = (factor * power for factor in (1, 2, 5, 10, 20))
    step, last = next((step, last) for step in steps if (last := int(end / step * (1 + 1e-9))) <= most)
    return [number * step for number in range(last + 1)]
