from __future__ import annotations

import torch

from asim_fx.nonidealities.nonlinear_noise import add_nonlinear_noise
from asim_fx.nonidealities.read_model import ReadModel
from asim_fx.ops.config import ReadEffects


def test_the_spread_falls_with_the_share_of_full_scale_times_rows() -> None:
    """With two bits to a read the full scale is 3 * rows, and it is v * rows that counts, not the MAC."""
    read = add_nonlinear_noise(
        ReadModel(torch.tensor([0.0, 9.0, 72.0]), 72, 24), ReadEffects(24, nonlinear_percent_fs=2.0)
    )
    assert read.sigma is not None
    assert torch.allclose(read.sigma, 0.02 / (torch.tensor([0.0, 3.0, 24.0]) + 1) ** 0.5)
