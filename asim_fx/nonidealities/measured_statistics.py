"""Measured statistics: mean and spread of the column at each MAC value, from silicon or a circuit simulator."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import torch
from torch import Tensor

from asim_fx.nonidealities.read_model import ReadModel
from asim_fx.ops.config import ReadEffects


def apply_measured_statistics(read: ReadModel, effects: ReadEffects) -> ReadModel:
    """Return the read with the measured mean in place of the MAC value, and the measured spread.

    Tables are in MAC units of the widest plane. A narrower plane drives the bitline to the same share of full
    scale, and is looked up there. Between entries, where cells vary or planes are narrower, both are interpolated
    linearly.
    """
    if not effects.mean_mac:
        return read
    scale = read.full_scale / (len(effects.mean_mac) - 1)
    at = read.mac.clamp(0, read.full_scale) / scale
    read = replace(read, mac=_interpolate(_table(effects.mean_mac, read.mac.device), at) * scale)
    if not any(effects.sigma_mac):
        return read
    sigma = _interpolate(_table(effects.sigma_mac, read.mac.device), at) * scale / read.full_scale
    return read.with_variance(sigma**2)


def _interpolate(table: Tensor, at: Tensor) -> Tensor:
    below = at.floor().clamp(max=table.numel() - 2).to(torch.int64)
    low, high = torch.take(table, below), torch.take(table, below + 1)
    return low + (at - below) * (high - low)


@lru_cache(maxsize=16)
def _table(values: tuple[float, ...], device: torch.device) -> Tensor:
    return torch.tensor(values, dtype=torch.float32, device=device)
