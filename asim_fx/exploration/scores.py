"""Class scores of a converted model on images in memory, and what follows from them. Imports torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from asim_fx.converted import ConvertedModel
from asim_fx.errors import InputError, NumericsError
from asim_fx.exploration.images import Images
from asim_fx.exploration.isotonic import Outcome


@torch.no_grad()
def scores_of(converted: ConvertedModel, data: Images, seed: int = 0) -> Tensor:
    """Return the class scores, (samples, classes), on the CPU; image ``n`` is sample ``n`` of the noise.

    The model computes where its weights are.

    Raises:
        InputError: the model does not return one row of class scores for each image.
    """
    converted.reseed(seed)
    device = next((tensor.device for tensor in converted.parameters()), torch.device("cpu"))
    return torch.cat([_checked(converted(batch.to(device))).cpu() for batch in data.batches()])


def _checked(scores: Any) -> Tensor:
    if not isinstance(scores, Tensor) or scores.ndim != 2:
        message = "the model does not return one row of class scores for each image, so no plan can be made for it"
        raise InputError(message, hint="asim-plan is for classifiers; wrap the model so that it returns its scores")
    return scores


def ideal_scores(converted: ConvertedModel, data: Images) -> Tensor:
    """Return the class scores of the ideal integer model, (samples, classes)."""
    converted.set_fidelity("integer")
    scores = scores_of(converted, data)
    converted.set_fidelity("hardware")
    return scores


def accuracy_among(scores: Tensor, labels: Tensor) -> float:
    """Return the top-1 accuracy in percent."""
    return 100 * int((scores.argmax(1) == labels).sum()) / len(labels)


def accuracy_of(converted: ConvertedModel, data: Images, seeds: Sequence[int]) -> list[float]:
    """Return the top-1 accuracy for each seed, in percent."""
    return [accuracy_among(scores_of(converted, data, seed), data.labels) for seed in seeds]


def outcomes_of(converted: ConvertedModel, data: Images, reference: Tensor, seeds: Sequence[int]) -> list[Outcome]:
    """Return accuracy, and divergence from reference scores, for each seed."""
    found = []
    for seed in seeds:
        scores = scores_of(converted, data, seed)
        found.append(Outcome(divergence(reference, scores), accuracy_among(scores, data.labels)))
    return found


def divergence(reference: Tensor, scores: Tensor) -> float:
    """Return the mean Kullback-Leibler divergence of class probabilities from those of a reference, in nats.

    In float64: in float32 it would be rounding for scores that differ by less than a thousandth.

    Raises:
        NumericsError: it is not a number, since some score is NaN or infinite.
    """
    expected, found = reference.double().log_softmax(1), scores.double().log_softmax(1)
    mean = float((expected.exp() * (expected - found)).sum(1).mean())
    if not math.isfinite(mean):
        message = "class scores of the model are NaN or infinite"
        raise NumericsError(message, hint="asim-simulate --probe shows which site they come from")
    return max(0.0, mean)
