"""What a converter does at every MAC value, as arrays for a kernel: one entry to look up for each read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from asim_fx.ops.codes import CodeTable, code_table, convert
from asim_fx.ops.config import ReadEffects

CODE_BITS = 10
"""Bits of the code in an entry of a noisy table."""
LARGEST_TABLE = 65536
"""MAC values up to which a read without noise is looked up."""
_DELTA_BITS = 6
_DELTA_ZERO = 32


@dataclass(frozen=True, slots=True)
class ReadTable:
    """One kind of read.

    Attributes:
        entries: uint32. Without noise the code of each MAC value. With noise, for each MAC value and column: in the top
            16 bits the high half of the cut, then 10 bits of the column's code, then 6 bits of the step to the other
            code, plus 32.
        low_cuts: low half of each cut; empty without noise.
        column_bits: bits of the word that choose a column; 0 without noise.
        multiplier: without noise, where not 0: the code is (mac * multiplier + 2**15) >> 16 at every MAC value.
    """

    entries: NDArray[np.uint32]
    low_cuts: NDArray[np.uint32]
    column_bits: int
    multiplier: int


@lru_cache(maxsize=64)
def read_table(effects: ReadEffects, full_scale: int, *, noisy: bool) -> ReadTable | None:
    """Return the table of a read, or None where it has none."""
    if not noisy:
        return _noiseless(effects, full_scale) if full_scale < LARGEST_TABLE else None
    table = code_table(effects, full_scale, "cpu")
    if table is None or effects.adc_bits is None or effects.adc_bits > CODE_BITS:
        return None
    return _noisy(table)


def _noiseless(effects: ReadEffects, full_scale: int) -> ReadTable:
    codes = convert(torch.arange(full_scale + 1), effects, full_scale, None).numpy()
    macs = np.arange(full_scale + 1)
    estimate = round(float(codes[-1]) * 2**16 / full_scale)
    multiplier = 0
    for candidate in (estimate, estimate + 1, estimate - 1):
        fits = int(codes[-1]) * 2**16 + 2**16 < 2**32 and 0 < candidate < 2**16
        if fits and np.array_equal((macs * candidate + 2**15) >> 16, codes):
            multiplier = candidate
            break
    return ReadTable(codes.astype(np.uint32), np.zeros(1, np.uint32), 0, multiplier)


def _noisy(table: CodeTable) -> ReadTable:
    columns = 2**table.column_bits
    other = table.other.numpy()
    cut = table.cut.numpy()
    direct = np.repeat(table.base.numpy(), columns) + np.tile(np.arange(columns), table.base.numel())
    direct = np.where(cut == 0, other, direct)
    delta = other - direct + _DELTA_ZERO
    entries = (cut >> 16 << 16) | (direct << _DELTA_BITS) | delta
    return ReadTable(entries.astype(np.uint32), (cut & 0xFFFF).astype(np.uint32), table.column_bits, 0)
