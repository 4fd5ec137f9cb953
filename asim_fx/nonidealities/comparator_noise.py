"""Noise of the comparator: it is added after the converter's gain, and its unit is the converter's step."""

from __future__ import annotations

import torch

from asim_fx.nonidealities.read_model import ReadModel
from asim_fx.ops.config import ReadEffects


def add_comparator_noise(read: ReadModel, effects: ReadEffects) -> ReadModel:
    """Return the read with Gaussian noise of ``comparator_lsb_rms`` steps at the decision, drawn anew at each read."""
    if not effects.comparator_lsb_rms:
        return read
    sigma = effects.comparator_lsb_rms * read.step / read.gain
    return read.with_variance(torch.full_like(read.mac, sigma**2))
