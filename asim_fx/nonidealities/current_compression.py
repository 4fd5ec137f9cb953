"""Current-domain compression: the more a bitline carries, the less each further cell adds (``non_linear_alpha``)."""

from __future__ import annotations

from dataclasses import replace

from asim_fx.nonidealities.read_model import ReadModel
from asim_fx.ops.config import ReadEffects


def compress_current(read: ReadModel, effects: ReadEffects) -> ReadModel:
    """Return the read with mac / (1 + alpha * |mac|) in place of mac; alpha per unit of MAC value."""
    if not effects.compression_per_mac:
        return read
    return replace(read, mac=read.mac / (read.mac.abs() * effects.compression_per_mac + 1))
