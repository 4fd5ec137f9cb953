"""Codes of reads without noise, added up."""

from __future__ import annotations

from typing import Any

import numpy as np

from asim_fx.ops.engines.cpu.compiled import compiled
from asim_fx.ops.engines.cpu.lanes import LANES, U32, Row, constant, on_lanes

IDENTITY = 65536
"""The multiplier where the code is the MAC value."""


def scaled(builder: Any, macs: Any, multiplier: Any) -> Any:
    """Return (mac * multiplier + 2**15) >> 16."""
    return builder.lshr(builder.add(builder.mul(macs, multiplier), constant(2**15)), constant(16))


def _add_scaled(builder: Any, macs: Row, multiplier: Any, factor: Any, sums: Row) -> None:
    sums.add(builder.mul(scaled(builder, macs.load(), multiplier), factor))


add_scaled = on_lanes(_add_scaled)
"""Add factor times (mac * multiplier + 2**15) >> 16: rows of MAC values, multiplier, factor, rows of the sums."""


@compiled
def add_looked_up(entries: U32, start: int, macs: U32, factor: np.uint32, sums: U32, row: int) -> None:
    """Add ``factor`` times the code that a table has for each MAC value to one row of the sums."""
    for lane in range(LANES):
        sums[row, lane] += np.uint32(entries[start + np.int64(macs[0, lane])] * factor)
