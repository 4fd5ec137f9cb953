"""Calibrate static scales: run a converted model in float on typical inputs and keep the largest magnitudes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from asim_fx.converted import ConvertedModel
from asim_fx.errors import DataError
from asim_fx.nn import CimModule


def calibrate(converted: ConvertedModel, batches: Iterable[Tensor | tuple[Any, ...]]) -> None:
    """Set the scale of every site with ``scale: static`` to the largest magnitude that it meets.

    The sites compute in float meanwhile, so that no site sees another's errors. Earlier calibration is forgotten,
    unless this one fails. Nothing changes where no site has a static scale.

    Args:
        converted: the model; its noise counter is left as it was.
        batches: inputs of the model, each a tensor or the tuple of positional arguments.

    Raises:
        DataError: there is no batch.
        InputError: a batch is not what the model takes.
    """
    sites = [site for site in converted.sites().values() if scales_of(site)]
    if not sites:
        return
    scales = [scale for site in sites for scale in scales_of(site)]
    before = [scale.clone() for scale in scales]
    seen = 0
    for scale in scales:
        scale.fill_(float("nan"))
    for site in sites:
        site.observing = True
    fidelities = {site: site.fidelity for site in converted.sites().values()}
    converted.set_fidelity("float")
    try:
        with torch.no_grad():
            for batch in batches:
                inputs = batch if isinstance(batch, tuple) else (batch,)
                converted.signature.check(inputs, {})
                converted.body(*inputs)
                seen += 1
        if not seen:
            message = "there is nothing to calibrate on: no batch was given"
            raise DataError(message)
    except BaseException:
        for scale, earlier in zip(scales, before, strict=True):
            scale.copy_(earlier)
        raise
    finally:
        for site, fidelity in fidelities.items():
            site.fidelity = fidelity
            site.observing = False


def uncalibrated_sites(converted: ConvertedModel) -> list[str]:
    """Return the labels of the sites that need calibration before they can run."""
    return [
        site.config.site for site in converted.sites().values() if any(bool(scale.isnan()) for scale in scales_of(site))
    ]


def scales_of(site: CimModule) -> list[Tensor]:
    """Return the calibrated scales of a site: none, that of its input, or those of both operands of a matmul."""
    return [buffer for name, buffer in site.named_buffers() if name in ("input_scale", "weight_scale")]
