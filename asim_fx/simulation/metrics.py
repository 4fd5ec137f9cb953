"""Accuracy and how sure it is: counts of right answers, and 95 % intervals in percent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median, quantiles, stdev

Z95 = 1.959963984540054
"""97.5 % quantile of the normal distribution."""

_T95 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
"""97.5 % quantiles of Student's t for 1 to 30 degrees of freedom."""


_ROUNDING = 1e-6
"""Images: a share in percent gives back a whole number of images within that."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A share in percent with its 95 % interval.

    Attributes:
        mean: the share.
        low: lower end of the interval.
        high: upper end of the interval.
        interval: what the interval is over, and by which method.
    """

    mean: float
    low: float
    high: float
    interval: str


@dataclass(frozen=True, slots=True)
class DieSpread:
    """How a share in percent spreads over chips.

    Attributes:
        dies: number of chips.
        mean: over all of them.
        worst: of the worst one.
        percentile_5: 5 % of the chips are below; between two chips, by linear interpolation.
        median: half of the chips are below.
        percentile_95: 95 % of the chips are below.
        of_die: of each chip, the mean over seeds of the noise.
    """

    dies: int
    mean: float
    worst: float
    percentile_5: float
    median: float
    percentile_95: float
    of_die: tuple[float, ...]


def spread_over_dies(shares: Sequence[float]) -> DieSpread:
    """Return the spread of one share for each chip, in percent; at least one."""
    twentieths = quantiles(shares, n=20, method="inclusive") if len(shares) > 1 else [shares[0]] * 19
    return DieSpread(
        dies=len(shares),
        mean=fmean(shares),
        worst=min(shares),
        percentile_5=twentieths[0],
        median=median(shares),
        percentile_95=twentieths[-1],
        of_die=tuple(shares),
    )


def estimate_of(shares: Sequence[float], images: int, what: str = "seeds") -> Estimate:
    """Return the mean of one share for each draw with its 95 % interval.

    Over the draws by Student's t. Where there is one draw, or all of them agree, they say nothing of how sure the share
    is, so the interval is over the images.

    Args:
        shares: percent, at least one.
        images: that every share is of.
        what: what was drawn, for the words about the interval.
    """
    if len(set(shares)) == 1:
        right = shares[0] * images / 100
        whole = abs(right - round(right)) < _ROUNDING
        return estimate_over_images(round(right) if whole else right, images)
    return estimate_over_seeds(shares, what)


def estimate_over_seeds(shares: Sequence[float], what: str = "seeds") -> Estimate:
    """Return the mean of one share for each seed, or die, with Student's t interval of that mean.

    It says how far other draws would lead on the same images, not how far other images would.

    Args:
        shares: percent, at least two.
        what: what was drawn, for the words about the interval.
    """
    mean, half = fmean(shares), student_t95(len(shares) - 1) * stdev(shares) / math.sqrt(len(shares))
    return Estimate(mean, max(0.0, mean - half), min(100.0, mean + half), f"{len(shares)} {what}, Student t")


def estimate_over_images(right: float, images: int) -> Estimate:
    """Return a share of images with Wilson's score interval: how far other images would lead.

    Args:
        right: images that count; not whole where it is the mean over some draws.
        images: all images, at least one.
    """
    p, z2 = right / images, Z95**2
    centre = (p + z2 / (2 * images)) / (1 + z2 / images)
    half = Z95 / (1 + z2 / images) * math.sqrt(p * (1 - p) / images + z2 / (4 * images**2))
    # At the ends of the scale the bound is the end itself, which rounding may miss.
    low = 0.0 if right == 0 else 100 * (centre - half)
    high = 100.0 if right == images else 100 * (centre + half)
    return Estimate(100 * p, low, high, f"{images} images, Wilson")


def student_t95(freedom: int) -> float:
    """Return the 97.5 % quantile of Student's t.

    Above the table by the first two terms of the expansion about the normal quantile (Abramowitz and Stegun 26.7.5),
    good to 1e-4 there.

    Args:
        freedom: degrees of freedom, at least 1.
    """
    if freedom <= len(_T95):
        return _T95[freedom - 1]
    z = Z95
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
