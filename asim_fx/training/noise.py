"""How large the trim noise of each site must be to stand for its simulated reads."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from asim_fx.converted import ConvertedModel
from asim_fx.nn import CimModule


@torch.no_grad()
def measure_trim_noise(net: ConvertedModel, images: Tensor) -> dict[str, float]:
    """Return for each site the error of its simulated reads as a share of its results, in % (root mean squares).

    Every site gets what the exact model gives it, so that no site sees another's errors. Error is all that reads add
    to exact integers: noise, and the steps of the converter.

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
        if not isinstance(site, CimModule) or not isinstance(exact, Tensor):
            return  # a recurrence returns its states too: it is left without trim noise
        site.fidelity = "hardware"
        read = site.forward(*inputs)
        site.fidelity = "integer"
        size = float(exact.square().mean().sqrt())
        found[names[site]] = 100 * float((read - exact).square().mean().sqrt()) / size if size else 0.0

    return hook
