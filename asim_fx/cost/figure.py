"""A figure that says which model made it and how far the truth may lie from it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Band:
    """How far measurements lay from a model, as factors on its figure.

    Attributes:
        low: the band begins at value x low, 0 < low <= 1.
        high: it ends at value x high, high >= 1.
    """

    low: float
    high: float

    @classmethod
    def within(cls, factor: float) -> Band:
        """Return the band x/÷ ``factor``."""
        return cls(1 / factor, factor)

    def contains(self, ratio: float) -> bool:
        """Whether a measurement of ``ratio`` times the figure lies in the band."""
        return self.low <= ratio <= self.high

    def __str__(self) -> str:
        if abs(self.low * self.high - 1) < 1e-9:
            return f"x/÷{self.high:.3g}"
        return f"x{self.low:.2g} to x{self.high:.3g}"


MEASURED = Band.within(1.05)
"""Of figures that are measurements in other units: rounding in the publications."""
NEEDS_TECHNOLOGY = "needs `cost.node_nm` and `cost.supply_v` of the macro"
NO_CONVERTER = "`adc.bits: ideal` is no converter"


@dataclass(frozen=True, slots=True)
class Figure:
    """An estimate.

    Attributes:
        value: in the unit that its place says; None where something that it follows from is unknown.
        model: what made it, in words (``uiuc-fit, charge-redistribution``), or what is missing.
        band: of its model.
    """

    value: float | None
    model: str
    band: Band

    def times(self, factor: float) -> Figure:
        """Return the figure for ``factor`` as much."""
        return Figure(None if self.value is None else self.value * factor, self.model, self.band)

    @property
    def low(self) -> float | None:
        """Lower end of the band."""
        return None if self.value is None else self.value * self.band.low

    @property
    def high(self) -> float | None:
        """Upper end of the band."""
        return None if self.value is None else self.value * self.band.high

    def __str__(self) -> str:
        return f"{self.model}, {self.band}" if self.value is not None else f"unknown: {self.model}"


def unknown(why: str) -> Figure:
    """Return the figure of what cannot be estimated."""
    return Figure(None, why, Band(1.0, 1.0))


def total(values: Iterable[float | None]) -> float | None:
    """Return the sum; None where a part is unknown, and 0.0 of nothing.

    Exact before it is rounded: the built-in sum does not give the same last digit in every version of Python.
    """
    found = list(values)
    return None if None in found else math.fsum(value for value in found if value is not None)
