"""The clipping threshold of least information loss, by TensorRT's procedure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_THRESHOLDS = 512
"""About how many thresholds are tried."""


def least_divergence(counts: NDArray[np.int64], levels: int) -> int:
    """Return how many bins to keep so that the quantised histogram diverges least from the original.

    Migacz, "8-bit inference with TensorRT", GTC 2017 (S7310): for each threshold the reference P is the histogram up to
    it with all outliers added to its last bin; Q is the same histogram without the outliers, merged into ``levels``
    groups of bins and spread out again over the bins that are not empty. The threshold of the least
    KL(P || Q) = sum P log(P / Q) is taken, the largest of equal ones. There, 2,048 bins and 128 levels.

    Args:
        counts: of bins of equal width from 0, the last one not empty.
        levels: of the quantiser's magnitudes.

    Returns:
        a number of bins from ``levels`` to all; all where there are fewer bins than levels.
    """
    bins = len(counts)
    if bins <= levels:
        return bins
    step = max(1, (bins - levels) // _THRESHOLDS)
    kept = sorted({*range(levels, bins, step), bins})
    divergences = [divergence(counts, keep, levels) for keep in kept]
    least = min(divergences)
    return int(max(keep for keep, value in zip(kept, divergences, strict=True) if value <= least))


def divergence(counts: NDArray[np.int64], keep: int, levels: int) -> float:
    """Return KL(P || Q) for the first ``keep`` bins; infinite where outliers would fall into an empty bin."""
    inside = counts[:keep].astype(np.float64)
    reference = inside.copy()
    reference[-1] += counts[keep:].sum()
    quantised = _merged_and_spread(inside, levels)
    some = reference > 0
    if not quantised.any() or bool((quantised[some] == 0).any()):
        return float("inf")
    p, q = reference[some] / reference.sum(), quantised[some] / quantised.sum()
    return float((p * np.log(p / q)).sum())


def _merged_and_spread(counts: NDArray[np.float64], levels: int) -> NDArray[np.float64]:
    """Return each group's total divided evenly among its bins that are not empty."""
    # The same number of bins in each group; what is left over belongs to the last one.
    group = np.minimum(np.arange(len(counts)) // (len(counts) // levels), levels - 1)
    totals = np.bincount(group, counts, minlength=levels)
    occupied = np.bincount(group, counts > 0, minlength=levels)
    even = np.divide(totals, occupied, out=np.zeros(levels), where=occupied > 0)
    return np.where(counts > 0, even[group], 0.0)
