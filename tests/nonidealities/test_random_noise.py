from __future__ import annotations

import torch

from asim_fx.nonidealities.random_noise import add_random_noise
from asim_fx.nonidealities.read_model import ReadModel
from asim_fx.ops.config import ReadEffects


def test_the_spread_is_the_same_everywhere() -> None:
    read = add_random_noise(ReadModel(torch.arange(10.0), 9, 9), ReadEffects(9, random_percent_fs=0.5))
    assert read.sigma is not None
    assert torch.allclose(read.sigma, torch.full((10,), 0.005))


def test_nothing_is_added_when_there_is_none() -> None:
    read = ReadModel(torch.arange(10.0), 9, 9)
    assert add_random_noise(read, ReadEffects(9)) is read
