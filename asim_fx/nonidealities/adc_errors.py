"""Gain and offset of the converter, the same for all columns."""

from __future__ import annotations

from dataclasses import replace

from asim_fx.nonidealities.read_model import ReadModel
from asim_fx.ops.config import ReadEffects


def distort_converter(read: ReadModel, effects: ReadEffects) -> ReadModel:
    """Return the read with gain 1 + ``adc_gain_percent`` / 100 and an offset of ``adc_offset_lsb`` steps after it."""
    if not (effects.adc_gain_percent or effects.adc_offset_lsb):
        return read
    return replace(read, gain=1 + effects.adc_gain_percent / 100, offset=effects.adc_offset_lsb)
