"""A standard normal number from one 32-bit word, by table and integer arithmetic alone.

The upper tail's quantile function is tabulated at 64 points in each octave of the tail probability and interpolated
linearly in fixed point. No logarithm and no cosine runs per draw, so every engine can give the same bits.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from statistics import NormalDist

import torch
from torch import Tensor

_POINT_BITS = 6
FRACTION_BITS = 26
"""Bits of the position between two points that interpolation uses."""
FIXED_POINT = 24
"""Fraction bits of the tabulated magnitudes."""
_OCTAVES = 32


def normal(word: Tensor) -> Tensor:
    """Return a float32 normal number for each word (int64, 0..2**32-1).

    The top bit is the sign. The other 31 bits, m, are the tail probability (2m + 1) / 2**33, so the largest magnitude
    is 6.34.
    """
    odd = ((word & 0x7FFFFFFF) << 1) | 1
    # The bits of a float64 are the octave and the place within it: a leading-zero count for every device.
    bits = odd.to(torch.float64).view(torch.int64)
    segment = (bits >> (52 - _POINT_BITS)) - (1023 << _POINT_BITS)
    fraction = (bits >> (52 - _POINT_BITS - FRACTION_BITS)) & (2**FRACTION_BITS - 1)
    points = normal_points(str(word.device))
    magnitude = torch.take(points[0], segment) - ((torch.take(points[1], segment) * fraction) >> FRACTION_BITS)
    signed = torch.where(word >> 31 == 1, -magnitude, magnitude)
    return signed.to(torch.float32) * 2.0**-FIXED_POINT


@lru_cache(maxsize=8)
def normal_points(device: str) -> tuple[Tensor, Tensor]:
    """Return the magnitude at the start of each segment and its fall across the segment, both times 2**24."""
    inverse = NormalDist().inv_cdf
    steps = 2**_POINT_BITS
    tails = [2.0**octave * (1 + point / steps) for octave in range(_OCTAVES) for point in range(steps)]
    knots = [round(-inverse(tail * 2.0**-33) * 2**FIXED_POINT) for tail in tails] + [0]
    falls = [here - there for here, there in pairwise(knots)]
    return torch.tensor(knots[:-1], device=device), torch.tensor(falls, device=device)
