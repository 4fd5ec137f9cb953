"""Random noise of the array and the converter: the same spread at every MAC value (ASiM's ``rand_noise_sigma``)."""

from __future__ import annotations

import torch

from asim_fx.nonidealities.read_model import ReadModel
from asim_fx.ops.config import ReadEffects


def add_random_noise(read: ReadModel, effects: ReadEffects) -> ReadModel:
    """Return the read with Gaussian noise, drawn anew at each read.

    Its standard deviation is ``random_percent_fs`` percent of full scale, or ``random_lsb_rms`` steps of the converter.
    """
    sigma = effects.random_percent_fs / 100 + effects.random_lsb_rms * read.step
    return read.with_variance(torch.full_like(read.mac, sigma**2)) if sigma else read
