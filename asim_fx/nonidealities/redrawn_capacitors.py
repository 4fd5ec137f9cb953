"""Capacitor mismatch as a spread: unit capacitors that are drawn anew at each read.

Of N capacitors with relative deviations d_k ~ N(0, s**2), m are charged and all share their charge: to first order
V = m/N + (1/N) * sum of (a_k - m/N) * d_k with a_k = 1 for the charged ones, so its variance is s**2 * v * (1 - v) / N
with v = m/N. A fixed die has that variance too, over dies.
"""

from __future__ import annotations

from asim_fx.nonidealities.read_model import ReadModel
from asim_fx.ops.config import ReadEffects


def add_capacitor_spread(read: ReadModel, effects: ReadEffects) -> ReadModel:
    """Return the read with the variance that redrawn capacitors give; for planes of one bit."""
    if not (effects.capacitor_sigma_percent and effects.capacitors_redrawn):
        return read
    value = read.value
    scale = (effects.capacitor_sigma_percent / 100) ** 2 / read.rows
    return read.with_variance(value * (1 - value) * scale)
