"""Gain of the column: parasitic capacitance attenuates what the cells put on the bitline."""

from __future__ import annotations

from dataclasses import replace

from asim_fx.nonidealities.read_model import ReadModel
from asim_fx.ops.config import ReadEffects


def scale_bitline(read: ReadModel, effects: ReadEffects) -> ReadModel:
    """Return the read with the MAC value times ``bitline_gain``.

    A charge-domain column of N unit capacitors C with the parasitic capacitance Cp has the gain N*C / (N*C + Cp).
    """
    if effects.bitline_gain == 1:
        return read
    return replace(read, mac=read.mac * effects.bitline_gain)
