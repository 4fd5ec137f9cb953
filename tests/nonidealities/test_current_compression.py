from __future__ import annotations

import torch

from asim_fx.nonidealities.current_compression import compress_current
from asim_fx.nonidealities.read_model import ReadModel
from asim_fx.ops.config import ReadEffects


def test_mac_is_compressed_before_it_is_scaled() -> None:
    read = compress_current(
        ReadModel(torch.tensor([0.0, 10.0, -10.0]), 20, 20, lowest=-1), ReadEffects(20, compression_per_mac=0.1)
    )
    assert torch.allclose(read.mac, torch.tensor([0.0, 5.0, -5.0]))
    assert torch.allclose(read.value, torch.tensor([0.0, 0.25, -0.25]))
