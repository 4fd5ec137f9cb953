"""Calibration of one variant of a chip after another on the same images. Imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from asim_fx.calibration import Observations, calibrate, needs_calibration
from asim_fx.converted import ConvertedModel
from asim_fx.data import DataSource
from asim_fx.errors import UsageError


@dataclass(frozen=True, slots=True)
class Calibrator:
    """Images in memory that every variant of a model is calibrated on, and a cache of what was seen on them.

    Attributes:
        description: what they are, for people.
        identity: of the images, their preparation and their batches.
        batches: float32 (batch, C, H, W) each.
        observations: cache of what was seen of this model on these images. The only part that changes.
    """

    description: str
    identity: str
    batches: Sequence[Tensor]
    observations: Observations = field(default_factory=Observations)

    @classmethod
    def of(cls, data: DataSource) -> Calibrator:
        """Read all images of a source.

        Raises:
            DataError: one cannot be decoded.
        """
        return cls(data.description, f"{data.identity}/{data.batch_size}", [images for images, _ in data])


def made_ready(converted: ConvertedModel, calibrator: Calibrator | None) -> ConvertedModel:
    """Calibrate a model where it has static scales or windows chosen on data, and return it.

    Raises:
        UsageError: it has, and there is nothing to calibrate on.
        NumericsError: a site meets NaN or infinity.
    """
    if not any(needs_calibration(site) for site in converted.sites().values()):
        return converted
    if calibrator is None:
        message = "`scale: static` and `adc.range: calibrated` are chosen on data: --calibrate SOURCE names images"
        raise UsageError(message, hint="or use `scale: dynamic` or `scale: sample`, and a window of known limits")
    device = next((tensor.device for tensor in converted.parameters()), torch.device("cpu"))
    images = calibrator.batches
    batches = images if device.type == "cpu" else [batch.to(device) for batch in images]
    calibrate(converted, batches, calibrator.observations)
    return converted
