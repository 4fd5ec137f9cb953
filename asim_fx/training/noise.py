"""Measure how large the trim noise of each site must be to match the error of its simulated reads."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from asim_fx.converted import ConvertedModel
from asim_fx.nn import CimModule, CimRecurrence
from asim_fx.training.recipe import TrainingRecipe


def set_trim_noise(net: ConvertedModel, images: Tensor, recipe: TrainingRecipe) -> None:
    """Give every site the trim noise that a recipe asks for; it is measured unless the recipe says how much.

    Only the mode ``nat`` has trim noise.

    Args:
        net: its sites' noise is set.
        images: a batch on its device.
        recipe: the settings.
    """
    sites = net.sites()
    if recipe.mode != "nat":
        levels = dict.fromkeys(sites, 0.0)
    elif recipe.trim_noise is None:
        levels = measure_trim_noise(net, images)
    else:
        levels = dict.fromkeys(sites, recipe.trim_noise)
    for name, site in sites.items():
        site.trim_noise = recipe.trim_factor * levels.get(name, 0.0)
        site.trim_additive = recipe.trim_additive


@torch.no_grad()
def measure_trim_noise(net: ConvertedModel, images: Tensor) -> dict[str, float]:
    """Return for each site the error of its simulated reads as a share of its results, in % (root mean squares).

    Every site gets what the exact model gives it, so that no site sees another's errors. The error is all that reads
    add to exact integers: noise, and the steps of the converter. That of a recurrence is taken over all of its steps.

    Args:
        net: left as it was, its noise counter aside.
        images: a batch on its device.
    """
    training = net.training
    found: dict[str, float] = {}
    before = {site: site.fidelity for site in net.sites().values()}
    names = {site: name for name, site in net.sites().items()}
    handles = [site.register_forward_hook(_compare(names, found)) for site in names]
    net.eval()
    net.set_fidelity("integer")
    try:
        net(images)
    finally:
        for handle in handles:
            handle.remove()
        net.train(training)
        for site, fidelity in before.items():
            site.fidelity = fidelity
    return found


def _compare(names: dict[CimModule, str], found: dict[str, float]) -> Any:
    def hook(site: nn.Module, inputs: tuple[Any, ...], exact: Any) -> None:
        assert isinstance(site, CimModule)
        if isinstance(site, CimRecurrence):
            found[names[site]] = _percent(*_products(site, inputs))
        else:
            site.fidelity = "hardware"
            found[names[site]] = _percent(exact, site.forward(*inputs))
            site.fidelity = "integer"

    return hook


def _products(site: CimRecurrence, inputs: tuple[Any, ...]) -> tuple[Tensor, Tensor]:
    """Return what the arrays of a recurrence give at all steps: exactly, and by simulated reads."""
    streamed: list[Tensor] = []
    site.observer = lambda hidden, _weight, _clip: streamed.append(hidden)
    site.forward(*inputs)
    site.observer = None
    _, weight, _, _, _, rng = inputs
    exact = torch.stack([site.product(hidden, weight, rng, step) for step, hidden in enumerate(streamed)])
    site.fidelity = "hardware"
    read = torch.stack([site.product(hidden, weight, rng, step) for step, hidden in enumerate(streamed)])
    site.fidelity = "integer"
    return exact, read


def _percent(exact: Tensor, read: Tensor) -> float:
    size = float(exact.square().mean().sqrt())
    return 100 * float((read - exact).square().mean().sqrt()) / size if size else 0.0
