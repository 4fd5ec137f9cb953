"""Accuracy as a falling function of divergence: an isotonic fit to everything that was simulated.

On a few hundred images top-1 cannot tell plans of similar cost apart: one image is half a point, and only the images
near a decision count. The divergence of the class probabilities depends on every image. So plans are compared by their
divergence, and the fit says which divergence corresponds to a given accuracy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

ROUNDING = 1e-9
"""Percent: a mean of equal accuracies may lie that much below them."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A simulation of a whole model.

    Attributes:
        divergence: of the class probabilities from those of the ideal integer model, in nats, the mean over images.
        accuracy: top-1 in percent.
    """

    divergence: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Floor:
    """The two limits that a plan must meet.

    Attributes:
        accuracy: the least top-1 in percent.
        divergence: the greatest divergence in nats; what corresponds to the accuracy, see ``divergence_at``.
    """

    accuracy: float
    divergence: float

    def holds(self, outcome: Outcome) -> bool:
        """Return whether an outcome meets both limits."""
        return outcome.divergence <= self.divergence and outcome.accuracy >= self.accuracy - ROUNDING


def mean_outcome(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the mean of some draws of the noise."""
    return Outcome(fmean(one.divergence for one in outcomes), fmean(one.accuracy for one in outcomes))


@dataclass(frozen=True, slots=True)
class Step:
    """A stretch of the fit on which accuracy is constant.

    Attributes:
        first: the smallest divergence of its outcomes, in nats.
        last: the greatest one.
        accuracy: their mean top-1 in percent.
    """

    first: float
    last: float
    accuracy: float


def pooled(outcomes: Iterable[Outcome]) -> list[Step]:
    """Return steps whose accuracy falls as divergence grows; neighbours that break this share a step, with their mean.

    Source: pool adjacent violators, Ayer et al., "An empirical distribution function for sampling with incomplete
    information", Annals of Mathematical Statistics 26 (1955): the least squares fit of a falling function.
    """
    blocks: list[list[Outcome]] = []
    for outcome in sorted(outcomes, key=lambda one: (one.divergence, -one.accuracy)):
        blocks.append([outcome])
        while len(blocks) > 1 and mean_outcome(blocks[-2]).accuracy <= mean_outcome(blocks[-1]).accuracy:
            last = blocks.pop()
            blocks[-1] += last
    return [Step(block[0].divergence, block[-1].divergence, mean_outcome(block).accuracy) for block in blocks]


def divergence_at(outcomes: Iterable[Outcome], accuracy: float) -> float | None:
    """Return the greatest divergence at which the fit has at least this accuracy; None where it has it nowhere.

    The fit is constant on a step and linear between two of them. Nothing is assumed beyond the last one.
    """
    steps = pooled(outcomes)
    accuracy -= ROUNDING
    if not steps or steps[0].accuracy < accuracy:
        return None
    for left, right in pairwise(steps):
        if right.accuracy < accuracy:
            share = (left.accuracy - accuracy) / (left.accuracy - right.accuracy)
            return left.last + share * (right.first - left.last)
    return steps[-1].last
