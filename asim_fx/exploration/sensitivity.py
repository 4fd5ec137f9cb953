"""What each option does to each site, and what each site does to the result. Imports torch.

The damage of a choice is predicted as the sum over sites of noise times sensitivity. Noise is the error of a site's own
output with an option, as a share of the output's power, when everything before the site is exact. Sensitivity is how
far the class probabilities move for each unit of a site's noise, when all other sites are exact. Independent errors add
up in power, and to first order so do their effects. This takes one pass for each option and one for each site, where
measuring every pair would take a pass for each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from statistics import fmean
from typing import Any

from torch import Tensor, nn

from asim_fx.converted import ConvertedModel
from asim_fx.exploration.images import Images
from asim_fx.exploration.scores import divergence, scores_of
from asim_fx.nn import CimModule

_AUDIBLE = 1e-4
"""Noise below which a reference would measure the steps of the next quantiser rather than the noise."""
_LOUD = 1.0
"""Noise as strong as the output itself; effects of such noise no longer grow in proportion."""


def site_noise(converted: ConvertedModel, data: Images) -> dict[str, float]:
    """Return for each site the power of its error as a share of the power of its output, its inputs being exact.

    Where the output is zero throughout, the power of the error itself is returned.
    """
    converted.set_fidelity("integer")
    errors: dict[str, float] = {}
    powers: dict[str, float] = {}
    with _hooks(converted, partial(_note_error, errors, powers)):
        scores_of(converted, data)
    converted.set_fidelity("hardware")
    return {site: errors[site] / (powers[site] or 1.0) for site in errors}


def _note_error(errors: dict[str, float], powers: dict[str, float], module: nn.Module, args: Any, output: Any) -> None:
    if not isinstance(module, CimModule):
        return
    module.fidelity = "hardware"
    noisy = _first(module.forward(*args)).double()
    module.fidelity = "integer"
    exact = _first(output).double()
    site = module.config.array
    errors[site] = errors.get(site, 0.0) + float((noisy - exact).square().sum())
    powers[site] = powers.get(site, 0.0) + float(exact.square().sum())


def _first(output: Any) -> Tensor:
    """Return what a site computes: the outputs of a recurrence come before its last states."""
    tensor: Tensor = output[0] if isinstance(output, tuple) else output
    return tensor


@contextmanager
def _hooks(converted: ConvertedModel, hook: Callable[[nn.Module, Any, Any], None]) -> Iterator[None]:
    handles = [module.register_forward_hook(hook) for module in converted.sites().values()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def reference_options(noise: Sequence[Mapping[str, float]], sites: Sequence[str]) -> dict[str, int]:
    """Return for each site the option at which its sensitivity is measured.

    That is the option whose noise there is nearest the geometric middle of all options, those left aside that are too
    quiet to be heard. Where every option is, it is the loudest one.

    Args:
        noise: of each option, site -> noise.
        sites: which to choose for.
    """
    return {site: _reference([own[site] for own in noise]) for site in sites}


def _reference(levels: Sequence[float]) -> int:
    heard = [place for place, level in enumerate(levels) if level > _AUDIBLE]
    if not heard:
        return max(range(len(levels)), key=levels.__getitem__)
    logs = {place: math.log(min(levels[place], _LOUD)) for place in heard}
    middle = (min(logs.values()) + max(logs.values())) / 2
    return min(heard, key=lambda place: (abs(logs[place] - middle), place))


def movements(
    converted: ConvertedModel, data: Images, sites: Sequence[str], seeds: Sequence[int] = (0,)
) -> dict[str, float]:
    """Return for each site how far the class probabilities move when it alone is noisy, in nats.

    Args:
        converted: on the hardware whose noise is meant.
        data: the images.
        sites: which to measure.
        seeds: of the noise; the mean over them is returned.
    """
    converted.set_fidelity("integer")
    reference = scores_of(converted, data)
    found = {}
    for site in sites:
        own = [module for module in converted.sites().values() if module.config.array == site]
        for module in own:
            module.fidelity = "hardware"
        found[site] = fmean(divergence(reference, scores_of(converted, data, seed)) for seed in seeds)
        for module in own:
            module.fidelity = "integer"
    converted.set_fidelity("hardware")
    return found
