"""One analog read as values: where the column ends up, and how far it spreads."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class ReadModel:
    """What a column does at some MAC values: all integers for a table, or the values at hand.

    Attributes:
        mac: float32 MAC values.
        full_scale: MAC value at which the converter saturates.
        rows: row parallelism.
        lowest: least value of the column as a fraction of full scale: 0, or -1 where MAC values have a sign.
        variance: float32 variance of the value in (full scale)**2, of ``mac``'s shape; None where nothing is drawn.
        low: MAC value at the lower end of the converter's range; 0 where MAC values have a sign, as the range then is
            symmetric.
        span: MAC units from there to the upper end; the full scale where None.
        top: code of the upper end.
        gain: of the converter.
        offset: of the converter, in its steps, after the gain.
    """

    mac: Tensor
    full_scale: int
    rows: int
    lowest: int = 0
    variance: Tensor | None = None
    low: float = 0.0
    span: float | None = None
    top: int = 1
    gain: float = 1.0
    offset: float = 0.0

    @property
    def value(self) -> Tensor:
        """The column before noise, as a fraction of full scale, float32."""
        # A tensor, not a number: on CUDA a number would be multiplied by its reciprocal, which differs on ties.
        full_scale = torch.tensor(self.full_scale, dtype=torch.float32, device=self.mac.device)
        return torch.div(self.mac, full_scale).clamp_(self.lowest, 1)

    @property
    def sigma(self) -> Tensor | None:
        """Standard deviation of the value, as a fraction of full scale, float32."""
        return None if self.variance is None else self.variance.sqrt()

    @property
    def converted(self) -> Tensor:
        """What the converter sees before noise, as a fraction of its range, float32; may lie outside of it."""
        value = self.value
        if self.span is not None:
            within = self.mac.clamp(self.lowest * self.full_scale, self.full_scale) - self.low
            value = torch.div(within, torch.tensor(self.span, dtype=torch.float32, device=self.mac.device))
        if self.gain != 1:
            value = value * self.gain
        return value + self.offset / self.top if self.offset else value

    @property
    def converted_sigma(self) -> Tensor | None:
        """Standard deviation of what the converter sees, as a fraction of its range, float32."""
        sigma = self.sigma
        if sigma is None or (self.span is None and self.gain == 1):
            return sigma
        return sigma * (self.full_scale / (self.span or self.full_scale) * self.gain)

    @property
    def step(self) -> float:
        """One step of the converter, as a fraction of full scale."""
        return (self.span or self.full_scale) / self.full_scale / self.top

    def with_variance(self, more: Tensor) -> ReadModel:
        """Return the read with an independent source of noise added."""
        return replace(self, variance=more if self.variance is None else self.variance + more)
