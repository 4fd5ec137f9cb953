"""What a plan may cost, and how amounts of it are written."""

from __future__ import annotations

from collections.abc import Sequence

COSTS = ("conversions", "energy")


def amount(value: float, cost: str) -> str:
    """Return an amount in words: ``727,834 conversions``, or an energy given in joules as ``1.5 µJ``."""
    return span([value], cost)


def span(values: Sequence[float], cost: str) -> str:
    """Return the least and the greatest amount in words, as ``305 to 23,424 conversions``."""
    low, high = (_figure(value, cost) for value in (min(values), max(values)))
    unit = "µJ" if cost == "energy" else "conversion" if high == "1" else "conversions"
    return f"{high} {unit}" if low == high else f"{low} to {high} {unit}"


def _figure(value: float, cost: str) -> str:
    return f"{value * 1e6:,.6g}" if cost == "energy" else f"{value:,.0f}"
