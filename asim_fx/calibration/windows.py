"""The window of a converter, from a histogram of the MAC values that it meets."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cache, lru_cache

import torch
from torch import Tensor

from asim_fx.calibration.macs import MacHistogram
from asim_fx.ops.codes import before_noise, digitise
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
    if not histogram.total:
        return (0.0, float(effects.rows))
    match method:
        case "percentile":
            return percentile_window(histogram, percentile)
        case "mse":
            ideal = ReadEffects(
                rows=effects.rows,
                adc_bits=effects.adc_bits,
                parallel=effects.parallel,
                subtracted=effects.subtracted,
            )
            return _least(lambda window: reading_error(histogram, histogram.counts, ideal, window), histogram)
        case "csnr":
            return _least(lambda window: reading_error(histogram, histogram.weights, effects, window), histogram)
    message = f"no such method of choosing a window: {method}"
    raise ValueError(message)


def percentile_window(histogram: MacHistogram, percentile: float) -> Window:
    """Return the narrowest window that leaves out at most (100 - percentile) / 2 % of the reads on either side.

    Of MAC values with a sign, the window that leaves out at most 100 - percentile % on both sides together.
    """
    counts = torch.zeros(histogram.rows + 1, dtype=torch.float64)
    floors = torch.zeros(histogram.rows + 1, dtype=torch.float64)
    for size, of_planes in histogram.counts.items():
        units = histogram.values(size).abs() / size
        # A value between two whole ones counts with the outer one, so that no more than asked for is clipped.
        counts.index_add_(0, units.ceil().to(torch.int64).clamp(max=histogram.rows), of_planes)
        floors.index_add_(0, units.floor().to(torch.int64), of_planes)
    outside = (100 - percentile) / (100 if histogram.signed else 200) * float(counts.sum()) * (1 + 1e-12)
    high = max(1, histogram.rows - int((counts.flip(0).cumsum(0) <= outside).sum()))
    low = 0 if histogram.signed else min(high - 1, int((floors.cumsum(0) <= outside).sum()))
    return float(low), float(high)


def reading_error(histogram: MacHistogram, counts: Mapping[int, Tensor], effects: ReadEffects, window: Window) -> float:
    """Return the expected squared difference between what is read and the MAC value, in MAC units, summed.

    Args:
        histogram: of the MAC values.
        counts: how much each of its entries counts, by size.
        effects: of a read.
        window: of the converter.
    """
    read = replace(effects, window=window, window_known=True)
    total = 0.0
    for size, of_planes in counts.items():
        some = of_planes.nonzero().flatten()
        macs, full_scale = histogram.values(size)[some], size * effects.rows
        value, sigma = before_noise(macs, read, full_scale, None)
        points = value[:, None]
        if sigma is not None:
            points = points + sigma[:, None] * _noise_points()
        codes = digitise(points, read).to(torch.float64)
        readings = read.lowest_mac(full_scale) + codes * (read.span(full_scale) / read.top_code)
        total += float(of_planes[some] @ ((readings - macs[:, None]) ** 2).mean(dim=1))
    return total


def compute_snr(histogram: MacHistogram, effects: ReadEffects, window: Window) -> float | None:
    """Return the compute SNR of the reads in dB, each weighted by its place value squared; None without signal.

    The signal is the variance of the MAC values: their mean holds no information.
    """
    signal = 0.0
    for size, weights in histogram.weights.items():
        macs, total = histogram.values(size), float(weights.sum())
        signal += float(weights @ (macs - (weights @ macs) / total) ** 2) if total > 0 else 0.0
    return decibels(signal, reading_error(histogram, histogram.weights, effects, window))


def clipped(histogram: MacHistogram, window: Window) -> float:
    """Return the share of the MAC values that lie outside a window."""
    outside = 0.0
    for size, counts in histogram.counts.items():
        units = histogram.values(size) / size
        lowest = -window[1] if histogram.signed else window[0]
        outside += float(counts[(units < lowest) | (units > window[1])].sum())
    return outside / histogram.total if histogram.total else 0.0


def _least(error: Callable[[Window], float], histogram: MacHistogram) -> Window:
    """Return the window of least error: the upper end, then the lower one, in turn until neither moves.

    Of MAC values with a sign the window is symmetric, and has only an upper end.
    """

    @cache
    def of(low: int, high: int) -> float:
        return error((float(low), float(high)))

    low, high = 0, histogram.rows
    for _ in range(_ROUNDS):
        before = low, high
        high = _search(lambda end, start=low: of(start, end), low + 1, histogram.rows)  # type: ignore[misc]
        if not histogram.signed:
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
