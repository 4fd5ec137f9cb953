"""A histogram of magnitudes that grows its range as larger values come, and never loses a count."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from asim_fx.errors import NumericsError
from asim_fx.ops.quantize import SCALE_FLOOR

BINS = 4096
"""Bins of a histogram; at least half of them lie below the largest magnitude."""
_SMALLEST_EXPONENT = -100


class MagnitudeHistogram:
    """Magnitudes of a stream of tensors. Bin ``i`` counts those in (i * width, (i + 1) * width]; zeros are apart.

    The width is a power of two: values fall into bins without rounding, and a histogram of twice the range is that of
    neighbouring bins added up.

    Args:
        signed: whether the magnitude of a negative value counts; otherwise negative values are counted apart.
        what: of what, for messages.

    Attributes:
        counts: int64, one for each bin.
        width: of a bin; 0 while all values were 0.
        largest: the largest magnitude, exactly.
        zeros: values that are 0.
        negatives: values below 0 of an unsigned operand, which no code can hold.
    """

    def __init__(self, *, signed: bool, what: str = "the data") -> None:
        self.signed = signed
        self.what = what
        self.counts = torch.zeros(BINS, dtype=torch.int64)
        self.width = 0.0
        self.largest = 0.0
        self.zeros = 0
        self.negatives = 0

    @property
    def total(self) -> int:
        """All values that were counted."""
        return int(self.counts.sum()) + self.zeros + self.negatives

    @property
    def constant(self) -> bool:
        """Whether several values were counted that are all alike, to a bin."""
        kinds = int((self.counts > 0).sum()) + (self.zeros > 0) + (self.negatives > 0)
        return kinds == 1 and self.total > 1

    def add(self, value: Tensor) -> None:
        """Count every element of a tensor.

        Raises:
            NumericsError: one is NaN or infinite; nothing is counted then.
        """
        real = value.detach().flatten().to(torch.float32)
        if real.numel() == 0:
            return
        if not bool(torch.isfinite(real).all()):
            message = f"{self.what} holds NaN or infinity, so that no scale can be calibrated on it"
            raise NumericsError(message, hint="look at the data, and for an overflow in the layers before")
        if not self.signed:
            self.negatives += int((real < 0).sum())
            real = real[real >= 0]
        positive = real.abs()
        positive = positive[positive > 0]
        self.zeros += real.numel() - positive.numel()
        if positive.numel():
            largest = float(positive.max())
            self._grow_to(largest)
            self.largest = max(self.largest, largest)
            # The quotient of the smallest numbers of all may come out as 0.
            numbers = ((positive / self.width).ceil_().to(torch.int64) - 1).clamp_(min=0)
            self.counts += torch.bincount(numbers, minlength=BINS).cpu()

    def up_to(self, edge: int) -> int:
        """Return how many values lie at or below ``edge * width``, zeros included and negative values not."""
        return int(self.counts[:edge].sum()) + self.zeros

    def clipped(self, scale: float) -> float:
        """Return the share of the values beyond a scale, to a bin, and of those below 0 in an unsigned operand."""
        if not self.total:
            return 0.0
        if scale >= self.largest:
            return self.negatives / self.total
        # The scale of a bin's edge has SCALE_FLOOR on top, which is far less than a bin.
        inside = self.up_to(math.floor((scale + self.width * 1e-3) / self.width)) if self.width else self.zeros
        return (self.total - inside) / self.total

    def scale_at(self, edge: int) -> float:
        """Return the scale that clips what lies above a bin's edge; the largest magnitude if that is lower."""
        return min(edge * self.width, self.largest) + SCALE_FLOOR

    @property
    def used(self) -> int:
        """Number of bins up to the one of the largest magnitude."""
        return math.ceil(self.largest / self.width) if self.width else 0

    def _grow_to(self, largest: float) -> None:
        # A little more than needed: the range of BINS bins holds the largest value whatever the rounding of log2.
        exponent = max(math.ceil(math.log2(largest)), _SMALLEST_EXPONENT)
        width = 2.0 ** (exponent - BINS.bit_length() + 1)
        if self.width == 0:
            self.width = width
        while self.width < width:
            pairs = self.counts.view(-1, 2).sum(dim=1)
            self.counts = torch.cat([pairs, torch.zeros(BINS - pairs.numel(), dtype=torch.int64)])
            self.width *= 2
