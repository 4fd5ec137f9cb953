"""A static scale from a histogram of magnitudes: pure functions, one for each method."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from asim_fx.calibration.divergence import least_divergence
from asim_fx.calibration.observing import MagnitudeHistogram
from asim_fx.ops.quantize import SCALE_FLOOR

CANDIDATES = 512
"""Thresholds that the search for the least squared error tries first."""


def choose_scale(histogram: MagnitudeHistogram, levels: int, method: str, percentile: float) -> float:
    """Return a static scale.

    Args:
        histogram: of the operand's magnitudes.
        levels: the largest code, 2^(b-1) - 1 or 2^b - 1.
        method: ``max``, ``percentile``, ``mse`` or ``kl``.
        percentile: for that method.

    Raises:
        ValueError: no such method.
    """
    if not histogram.used:
        return SCALE_FLOOR
    match method:
        case "max":
            return histogram.largest + SCALE_FLOOR
        case "percentile":
            return percentile_scale(histogram, percentile)
        case "mse":
            return mse_scale(histogram, levels)
        case "kl":
            return kl_scale(histogram, levels)
    message = f"no such method of calibration: {method}"
    raise ValueError(message)


def percentile_scale(histogram: MagnitudeHistogram, percentile: float) -> float:
    """Return the lowest bin edge at or below which lie ``percentile`` % of the values that are not negative.

    Zeros count. The scale is never above the largest magnitude.
    """
    counts = histogram.counts.cumsum(0) + histogram.zeros
    wanted = math.ceil(percentile / 100 * int(counts[-1]) - 1e-9)
    edge = int(torch.searchsorted(counts, wanted)) + 1
    return histogram.scale_at(max(1, min(edge, histogram.used)))


def mse_scale(histogram: MagnitudeHistogram, levels: int) -> float:
    """Return the scale of least mean squared error of clipping and rounding.

    That is the trade-off of Banner, Nahshan and Soudry (NeurIPS 2019, "Post training 4-bit quantization of
    convolutional networks for rapid-deployment"), on the histogram itself instead of a fitted distribution. Candidates
    are bin edges: a grid over the whole range, then every edge around its best. Of equal ones the largest is taken.
    """
    used = histogram.used
    step = max(1, used // CANDIDATES)
    grid = [*range(step, used, step), used]
    best = _least(histogram, levels, grid)
    return histogram.scale_at(_least(histogram, levels, range(max(1, best - step), min(used, best + step) + 1)))


def kl_scale(histogram: MagnitudeHistogram, levels: int) -> float:
    """Return the scale of least divergence, see ``least_divergence``; zeros, which every scale keeps, do not count."""
    return histogram.scale_at(least_divergence(histogram.counts[: histogram.used].numpy(), levels + 1))


def _least(histogram: MagnitudeHistogram, levels: int, edges: range | list[int]) -> int:
    errors = [(squared_error(histogram, levels, histogram.scale_at(edge)), -edge) for edge in edges]
    return -min(errors)[1]


def squared_error(histogram: MagnitudeHistogram, levels: int, scale: float) -> float:
    """Return the sum of squared errors that a scale makes, each bin at its middle."""
    used = histogram.used
    counts = histogram.counts[:used].to(torch.float64)
    values = (torch.arange(used, dtype=torch.float64) + 0.5) * histogram.width
    return float((counts * (quantised(values, levels, scale) - values) ** 2).sum())


def quantised(values: Tensor, levels: int, scale: float) -> Tensor:
    """Return what magnitudes become by clipping and rounding."""
    return (values / scale).clamp(max=1).mul(levels).round() * (scale / levels)
