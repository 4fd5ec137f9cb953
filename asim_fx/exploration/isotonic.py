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

_ROUNDING = 1e-9
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
        return outcome.divergence <= self.divergence and outcome.accuracy >= self.accuracy - _ROUNDING


def mean_outcome(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the mean of some draws of the noise."""
    return Outcome(fmean(one.divergence for one in outcomes), fmean(one.accuracy for one in outcomes))


def pooled(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Return outcomes whose accuracy falls as divergence grows; neighbours that break this are replaced by their mean.

    Source: pool adjacent violators, Ayer et al., "An empirical distribution function for sampling with incomplete
    information", Annals of Mathematical Statistics 26 (1955): the least squares fit of a falling function.
    """
    blocks: list[list[Outcome]] = []
    for outcome in sorted(outcomes, key=lambda one: (one.divergence, -one.accuracy)):
        blocks.append([outcome])
        while len(blocks) > 1 and mean_outcome(blocks[-2]).accuracy <= mean_outcome(blocks[-1]).accuracy:
            last = blocks.pop()
            blocks[-1] += last
    return [mean_outcome(block) for block in blocks]


def divergence_at(outcomes: Iterable[Outcome], accuracy: float) -> float | None:
    """Return the greatest divergence at which the fit has at least this accuracy; None where it nowhere has.

    The fit is linear between two pooled outcomes. Nothing is assumed beyond the last one.
    """
    knots = pooled(outcomes)
    accuracy -= _ROUNDING
    if not knots or knots[0].accuracy < accuracy:
        return None
    for left, right in pairwise(knots):
        if right.accuracy < accuracy:
            share = (left.accuracy - accuracy) / (left.accuracy - right.accuracy)
            return left.divergence + share * (right.divergence - left.divergence)
    return knots[-1].divergence
