"""Random noise of the array and the converter: the same spread at every MAC value (ASiM's ``rand_noise_sigma``)."""

from __future__ import annotations

import torch

from asim_fx.nonidealities.read_model import ReadModel
from asim_fx.ops.config import ReadEffects


def add_random_noise(read: ReadModel, effects: ReadEffects) -> ReadModel:
    """Return the read with Gaussian noise of ``random_percent_fs`` percent of full scale, drawn anew at each read."""
    if not effects.random_percent_fs:
        return read
    return read.with_variance(torch.full_like(read.mac, (effects.random_percent_fs / 100) ** 2))
