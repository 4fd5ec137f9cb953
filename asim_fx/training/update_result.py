"""What one update tells about its batch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UpdateResult:
    """What the whole batch of an update came to, before the weights moved.

    Attributes:
        loss: what was minimised: with smoothing, mixing and the penalty on learned bounds.
        cross_entropy: plain mean cross-entropy of the scores; 0 where images are mixed.
        right: images whose highest score was that of their class; 0 where images are mixed.
    """

    loss: float
    cross_entropy: float
    right: int
