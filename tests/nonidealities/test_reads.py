from __future__ import annotations

import torch

from asim_fx.nonidealities.reads import has_spread, is_identity, model_read
from asim_fx.ops.config import ReadEffects

MACS = torch.arange(0, 61)


def test_a_plain_read_is_the_share_of_full_scale() -> None:
    effects = ReadEffects(rows=60)
    read = model_read(MACS, effects, 60)
    assert torch.equal(read.value, MACS.float() / torch.tensor(60.0))
    assert read.sigma is None
    assert is_identity(effects)
    assert not has_spread(effects)


def test_values_saturate_at_both_ends() -> None:
    assert model_read(torch.tensor([-5.0, 90.0]), ReadEffects(rows=60), 60).value.tolist() == [0, 1]
    assert model_read(torch.tensor([-90.0, 90.0]), ReadEffects(60, parallel=True), 60).value.tolist() == [-1, 1]


def test_independent_noises_add_their_variances() -> None:
    effects = ReadEffects(rows=60, random_percent_fs=3.0, nonlinear_percent_fs=4.0)
    sigma = model_read(MACS, effects, 60).sigma
    assert sigma is not None
    expected = (0.03**2 + 0.04**2 / (MACS + 1.0)) ** 0.5  # v * rows = MAC where the full scale is rows
    assert torch.allclose(sigma, expected)
