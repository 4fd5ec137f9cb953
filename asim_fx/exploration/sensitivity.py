"""What each option does to each site, and what each site does to the result. Imports torch.

The damage of a choice is predicted as the sum over sites of noise times sensitivity. Noise: the error of a site's own
output with an option, as a share of the output's power, all before it exact. Sensitivity: how far one site's noise at a
reference option moves the class probabilities, all other sites exact, for each unit of its noise. Independent errors
add up in power, and so do these to first order. This takes one pass for each option and one for each site, where all
pairs would take their product.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from asim_fx.converted import ConvertedModel
from asim_fx.exploration.pooling import Outcome
from asim_fx.nn import CimModule


@dataclass(frozen=True, slots=True)
class Images:
    """Labelled images in memory.

    Attributes:
        images: float32, (samples, C, H, W).
        labels: int64, (samples,).
        batch_size: images of one pass.
    """

    images: Tensor
    labels: Tensor
    batch_size: int

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, count: int) -> Images:
        """Return the first so many."""
        return Images(self.images[:count], self.labels[:count], self.batch_size)


@torch.no_grad()
def scores_of(converted: ConvertedModel, data: Images, seed: int = 0) -> Tensor:
    """Return the class scores, (samples, classes); image ``n`` is sample ``n`` of the noise."""
    converted.reseed(seed)
    return torch.cat([converted(batch) for batch in torch.split(data.images, data.batch_size)])


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
    """Return the mean Kullback-Leibler divergence of class probabilities from those of a reference, in nats."""
    expected, found = reference.log_softmax(1), scores.log_softmax(1)
    return max(0.0, float((expected.exp() * (expected - found)).sum(1).mean()))


def site_noise(converted: ConvertedModel, data: Images) -> dict[str, float]:
    """Return for each site the power of its error as a share of the power of its output, its inputs being exact."""
    converted.set_fidelity("integer")
    errors: dict[str, float] = {}
    powers: dict[str, float] = {}
    with _hooks(converted, partial(_note_error, errors, powers)):
        scores_of(converted, data)
    converted.set_fidelity("hardware")
    return {site: errors[site] / powers[site] if powers[site] else 0.0 for site in errors}


def _note_error(errors: dict[str, float], powers: dict[str, float], module: nn.Module, args: Any, output: Any) -> None:
    if not isinstance(module, CimModule):
        return
    module.fidelity = "hardware"
    noisy = module.forward(*args)
    module.fidelity = "integer"
    site = module.config.array
    errors[site] = errors.get(site, 0.0) + float((noisy - output).double().square().sum())
    powers[site] = powers.get(site, 0.0) + float(output.double().square().sum())


@contextmanager
def _hooks(converted: ConvertedModel, hook: Callable[[nn.Module, Any, Any], None]) -> Iterator[None]:
    handles = [module.register_forward_hook(hook) for module in converted.sites().values()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def sensitivities(
    converted: ConvertedModel, noise: Mapping[str, float], data: Images, sites: Sequence[str]
) -> dict[str, float]:
    """Return for each site how far the class probabilities move for each unit of its noise.

    Args:
        converted: on the reference hardware.
        noise: of each site there.
        data: the images.
        sites: which to measure.
    """
    converted.set_fidelity("integer")
    reference = scores_of(converted, data)
    found = {}
    for site in sites:
        own = [module for module in converted.sites().values() if module.config.array == site]
        for module in own:
            module.fidelity = "hardware"
        moved = divergence(reference, scores_of(converted, data))
        for module in own:
            module.fidelity = "integer"
        found[site] = moved / noise[site] if noise[site] else 0.0
    converted.set_fidelity("hardware")
    return found


def reference_option(noise: Sequence[Mapping[str, float]], sites: Sequence[str]) -> int:
    """Return the option of medium noise: loud enough to be heard at every site, soft enough to add up."""
    loudness = [median(own[site] for site in sites) for own in noise]
    ranked = sorted(range(len(noise)), key=loudness.__getitem__)
    return ranked[len(ranked) // 2]
