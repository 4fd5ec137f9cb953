"""The window of a converter, from a histogram of the MAC values that it meets."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cache, lru_cache

import torch
from torch import Tensor

from asim_fx.calibration.macs import MacHistogram
from asim_fx.nonidealities.reads import model_read
from asim_fx.ops.codes import code_of
from asim_fx.ops.config import ReadEffects
from asim_fx.report.fidelity import decibels

Window = tuple[float, float]
"""MAC values of a one-bit input plane at code 0 and at the top code."""

_GRID = 64
_ROUNDS = 4
_NOISE_POINTS = 32


def choose_window(histogram: MacHistogram, effects: ReadEffects, method: str, percentile: float) -> Window:
    """Return a window of whole MAC values.

    ``mse`` minimises the mean squared error of an ideal converter's readings. ``csnr`` maximises the compute SNR: the
    noise of the macro enters, and each read counts with the square of its place value, as independent errors do in the
    result. Kavishwar and Shanbhag (arXiv 2507.09776) call the converter so chosen CSNR-optimal, against the one of
    least quantisation error; the trade of clipping against quantisation is that of Sakr and Shanbhag's MPC criterion
    (ICASSP 2021, IEEE TSP 2021). What is drawn once for a die is not known here and does not enter.

    Args:
        histogram: of the site's MAC values.
        effects: of a read; its own window does not matter. The converter has bits.
        method: ``percentile``, ``mse`` or ``csnr``.
        percentile: share of the MAC values, in the middle of them, that a window by percentile holds.

    Raises:
        ValueError: no such method.
    """
    full = (0.0, float(effects.rows))
    if not histogram.total:
        return full
    match method:
        case "percentile":
            return percentile_window(histogram, percentile)
        case "mse":
            ideal = ReadEffects(rows=effects.rows, adc_bits=effects.adc_bits)
            return _least(lambda window: reading_error(histogram.counts, ideal, window), effects.rows)
        case "csnr":
            return _least(lambda window: reading_error(histogram.weights, effects, window), effects.rows)
    message = f"no such method of choosing a window: {method}"
    raise ValueError(message)


def percentile_window(histogram: MacHistogram, percentile: float) -> Window:
    """Return the narrowest window that leaves out at most (100 - percentile) / 2 % of the reads on either side."""
    counts = torch.zeros(histogram.rows + 1, dtype=torch.float64)
    for largest, of_plane in histogram.counts.items():
        macs = torch.arange(of_plane.numel())
        # A value between two whole ones counts with the next one, so that no more than asked for is clipped.
        counts.index_add_(0, -(-macs // largest), of_plane)
    total = float(counts.sum())
    outside = (100 - percentile) / 200 * total * (1 + 1e-12)
    below, above = counts.cumsum(0), counts.flip(0).cumsum(0)
    low = int((below <= outside).sum())
    high = histogram.rows - int((above <= outside).sum())
    low, high = max(0, low if max(histogram.counts) == 1 else low - 1), max(high, 1)
    return (float(low), float(high)) if low < high else (float(high - 1), float(high))


def reading_error(of_planes: Mapping[int, Tensor], effects: ReadEffects, window: Window) -> float:
    """Return the expected squared difference between what is read and the MAC value, in MAC units, summed.

    Args:
        of_planes: largest value of an input plane -> how much each MAC value counts.
        effects: of a read.
        window: of the converter.
    """
    total = 0.0
    for largest, counts in of_planes.items():
        macs = counts.nonzero().flatten()
        read = replace(effects, window=window, window_known=True)
        full_scale = largest * effects.rows
        model = model_read(macs, read, full_scale)
        points, sigma = model.converted[:, None], model.converted_sigma
        if sigma is not None:
            points = points + sigma[:, None] * _noise_points()
        codes = code_of(points, read).to(torch.float64)
        readings = read.lowest_mac(full_scale) + codes * (read.span(full_scale) / read.top_code)
        errors = ((readings - macs[:, None]) ** 2).mean(dim=1)
        total += float(counts[macs] @ errors)
    return total


def compute_snr(histogram: MacHistogram, effects: ReadEffects, window: Window) -> float | None:
    """Return the compute SNR of the reads in dB, each weighted by its place value squared; None without signal.

    The signal is the variance of the MAC values: their mean holds no information.
    """
    signal = 0.0
    for counts in histogram.weights.values():
        macs = torch.arange(counts.numel(), dtype=torch.float64)
        total = counts.sum()
        signal += float(counts @ (macs - (counts @ macs) / total) ** 2) if total > 0 else 0.0
    return decibels(signal, reading_error(histogram.weights, effects, window))


def clipped(histogram: MacHistogram, window: Window) -> float:
    """Return the share of the MAC values that lie outside a window."""
    outside = 0.0
    for largest, counts in histogram.counts.items():
        macs = torch.arange(counts.numel())
        outside += float(counts[(macs < window[0] * largest) | (macs > window[1] * largest)].sum())
    return outside / histogram.total if histogram.total else 0.0


def _least(error: Callable[[Window], float], rows: int) -> Window:
    """Return the window of least error: the upper end, then the lower one, in turn until neither moves."""

    @cache
    def of(low: int, high: int) -> float:
        return error((float(low), float(high)))

    low, high = 0, rows
    for _ in range(_ROUNDS):
        before = low, high
        high = _search(lambda end, start=low: of(start, end), low + 1, rows)  # type: ignore[misc]
        low = -_search(lambda start, end=high: of(-start, end), 1 - high, 0)  # type: ignore[misc]
        if (low, high) == before:
            break
    return float(low), float(high)


def _search(error: Callable[[int], float], first: int, last: int) -> int:
    """Return where an error is least: on a grid, then on every number around its best; the largest of equal ones."""
    step = max(1, math.ceil((last - first) / _GRID))
    best = _best(error, [*range(last, first, -step), first])
    return _best(error, range(min(last, best + step), max(first, best - step) - 1, -1))


def _best(error: Callable[[int], float], candidates: Iterable[int]) -> int:
    return min(candidates, key=lambda candidate: (error(candidate), -candidate))


@lru_cache(maxsize=1)
def _noise_points() -> Tensor:
    """Return equally likely values of a standard normal variable, scaled so that their variance is 1 as well."""
    points: Tensor = torch.special.ndtri((torch.arange(_NOISE_POINTS, dtype=torch.float64) + 0.5) / _NOISE_POINTS)
    return (points / points.square().mean().sqrt()).to(torch.float32)
