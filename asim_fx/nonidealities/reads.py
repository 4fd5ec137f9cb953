"""All effects of a read, in the order in which the signal meets them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from asim_fx.nonidealities.current_compression import compress_current
from asim_fx.nonidealities.nonlinear_noise import add_nonlinear_noise
from asim_fx.nonidealities.random_noise import add_random_noise
from asim_fx.nonidealities.read_model import ReadModel
from asim_fx.ops.config import ReadEffects

READ_EFFECTS: tuple[Callable[[ReadModel, ReadEffects], ReadModel], ...] = (
    compress_current,
    add_random_noise,
    add_nonlinear_noise,
)


def model_read(mac: Tensor, effects: ReadEffects, full_scale: int) -> ReadModel:
    """Return what one read does at the given MAC values (any dtype; computed in float32)."""
    read = ReadModel(mac.to(torch.float32), full_scale, effects.rows, lowest=-1 if effects.parallel else 0)
    for effect in READ_EFFECTS:
        read = effect(read, effects)
    return read


def has_spread(effects: ReadEffects) -> bool:
    """Whether two reads of the same MAC value can differ."""
    return bool(effects.random_percent_fs or effects.nonlinear_percent_fs)


def is_identity(effects: ReadEffects) -> bool:
    """Whether the column's value is its MAC value exactly."""
    return not (effects.compression_per_mac or effects.cell_variation_percent)
