"""All effects of a read, in the order in which the signal meets them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from asim_fx.nonidealities.adc_errors import distort_converter
from asim_fx.nonidealities.bitline_gain import scale_bitline
from asim_fx.nonidealities.comparator_noise import add_comparator_noise
from asim_fx.nonidealities.current_compression import compress_current
from asim_fx.nonidealities.measured_statistics import apply_measured_statistics
from asim_fx.nonidealities.nonlinear_noise import add_nonlinear_noise
from asim_fx.nonidealities.random_noise import add_random_noise
from asim_fx.nonidealities.read_model import ReadModel
from asim_fx.nonidealities.redrawn_capacitors import add_capacitor_spread
from asim_fx.ops.config import ReadEffects

READ_EFFECTS: tuple[Callable[[ReadModel, ReadEffects], ReadModel], ...] = (
    apply_measured_statistics,
    compress_current,
    scale_bitline,
    add_capacitor_spread,
    add_random_noise,
    add_nonlinear_noise,
    distort_converter,
    add_comparator_noise,
)


def model_read(mac: Tensor, effects: ReadEffects, full_scale: int) -> ReadModel:
    """Return what one read does at the given MAC values (any dtype; computed in float32)."""
    read = ReadModel(
        mac.to(torch.float32),
        full_scale,
        effects.rows,
        lowest=-1 if effects.signed else 0,
        low=effects.lowest_mac(full_scale),
        span=None if effects.window is None else effects.span(full_scale),
        top=effects.top_code,
    )
    for effect in READ_EFFECTS:
        read = effect(read, effects)
    return read


def has_spread(effects: ReadEffects) -> bool:
    """Whether two reads of the same MAC value can differ."""
    return bool(
        effects.random_percent_fs
        or effects.random_lsb_rms
        or effects.nonlinear_percent_fs
        or effects.comparator_lsb_rms
        or any(effects.sigma_mac)
        or (effects.capacitor_sigma_percent and effects.capacitors_redrawn)
    )


def is_identity(effects: ReadEffects) -> bool:
    """Whether the code of a read without noise is that of an ideal converter at the MAC value itself."""
    changed = (
        effects.compression_per_mac
        or effects.bitline_gain != 1
        or effects.mean_mac
        or effects.adc_gain_percent
        or effects.adc_offset_lsb
        or effects.thresholds_lsb
        or effects.dnl_sigma_lsb
    )
    return not (changed or has_real_cells(effects) or needs_columns(effects))


def has_real_cells(effects: ReadEffects) -> bool:
    """Whether cells have strengths of their own, so that MAC values are no integers and no table can hold them."""
    return bool(effects.cell_variation_percent or (effects.capacitor_sigma_percent and not effects.capacitors_redrawn))


def needs_columns(effects: ReadEffects) -> bool:
    """Whether two columns of one die convert the same MAC value differently, so that one table does not serve all."""
    return bool(effects.adc_gain_sigma_percent or effects.adc_offset_sigma_lsb)


def differs_by_die(effects: ReadEffects) -> bool:
    """Whether two dies of one chip compute differently."""
    return bool(
        needs_columns(effects)
        or (effects.cell_variation_percent and not effects.cell_variation_redrawn)
        or (effects.capacitor_sigma_percent and not effects.capacitors_redrawn)
        or effects.stuck_at_0_percent
        or effects.stuck_at_1_percent
        or effects.dnl_sigma_lsb
    )
