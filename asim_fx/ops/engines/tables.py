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
_RARE = 1 / 64
"""Share of reads up to which it is faster to look up single ones than all."""


@dataclass(frozen=True, slots=True)
class Settled:
    """Noise so small that nearly all words give the same code.

    A read gives (mac * multiplier + 2**15) >> 16 unless the bits of its high half below the column are less than a
    limit: then the table has to be asked.

    Attributes:
        multiplier: see above.
        few: MAC values below this one have a limit of their own, for there is more noise.
        few_limit: limit of these.
        limit: limit of all others.
    """

    multiplier: int
    few: int
    few_limit: int
    limit: int


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
        settled: with noise, where few words have to be looked up.
    """

    entries: NDArray[np.uint32]
    low_cuts: NDArray[np.uint32]
    column_bits: int
    multiplier: int
    settled: Settled | None = None


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
    multiplier = _multiplier(codes)
    return ReadTable(codes.astype(np.uint32), np.zeros(1, np.uint32), 0, multiplier)


def _multiplier(codes: NDArray[np.int64]) -> int:
    """Return m so that (mac * m + 2**15) >> 16 is the code at every MAC value, in 32 bits; or 0."""
    macs, top = np.arange(len(codes)), int(codes[-1])
    estimate = round(top * 2**16 / (len(codes) - 1))
    for candidate in (estimate, estimate + 1, estimate - 1):
        fits = top * 2**16 + 2**16 < 2**32 and candidate > 0
        if fits and np.array_equal((macs * candidate + 2**15) >> 16, codes):
            return candidate
    return 0


def _noisy(table: CodeTable) -> ReadTable:
    columns = 2**table.column_bits
    other = table.other.numpy()
    cut = table.cut.numpy()
    direct = np.repeat(table.base.numpy(), columns) + np.tile(np.arange(columns), table.base.numel())
    direct = np.where(cut == 0, other, direct)
    delta = other - direct + _DELTA_ZERO
    entries = (cut >> 16 << 16) | (direct << _DELTA_BITS) | delta
    settled = _settled(cut.reshape(-1, columns), direct.reshape(-1, columns), other.reshape(-1, columns))
    low_cuts = (cut & 0xFFFF).astype(np.uint32)
    return ReadTable(entries.astype(np.uint32), low_cuts, table.column_bits, 0, settled)


def _settled(cut: NDArray[np.int64], direct: NDArray[np.int64], other: NDArray[np.int64]) -> Settled | None:
    """Return the limits below which a word may give another code, or None where that is not rare.

    Args:
        cut: words of each (MAC value, column) that give the direct code.
        direct: codes.
        other: codes.
    """
    # The code of the most columns, where one has more than half of them; where none has, nothing is rare.
    usual = np.sort(other, axis=1)[:, cut.shape[1] // 2]
    multiplier = _multiplier(usual)
    if not multiplier:
        return None
    # All reads of a column are open where its usual code is not the other one.
    open_words = np.where(direct == usual[:, None], 0, (cut >> 16) + 1)
    limits = np.where(other == usual[:, None], open_words, 2**16 // cut.shape[1]).max(axis=1)
    number = np.arange(len(limits))
    head = np.concatenate([[0], np.maximum.accumulate(limits)[:-1]])
    tail = np.maximum.accumulate(limits[::-1])[::-1]
    few = int(np.argmin(number * head + (len(limits) - number) * tail))
    shares = (few * head[few] + (len(limits) - few) * tail[few]) * cut.shape[1] / (len(limits) * 2**16)
    return Settled(multiplier, few, int(head[few]), int(tail[few])) if shares < _RARE else None
