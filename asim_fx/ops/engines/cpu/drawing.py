"""Codes of noisy reads, added up: all from a table, or where noise is small, those that a word may change."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from asim_fx.ops.engines.cpu.compiled import compiled
from asim_fx.ops.engines.cpu.converting import scaled
from asim_fx.ops.engines.cpu.lanes import LANES, U32, Row, asking_lanes, constant, on_lanes
from asim_fx.ops.engines.cpu.words import philox_fine

CODE_SHIFT, CODE_MASK = 6, 1023
STEP_MASK, STEP_ZERO = 63, 32
"""Fields of an entry; see ``ReadTable``."""


def _rest(builder: Any, words: Row, half: Any, mask: Any) -> Any:
    """Return the bits of a read's 16 that do not choose a column."""
    return builder.and_(builder.lshr(words.load(), half), mask)


def _open(builder: Any, macs: Any, words: Row, half: Any, mask: Any, few: Any, few_limit: Any, limit: Any) -> Any:
    below = builder.select(builder.icmp_unsigned("<", macs, few), few_limit, limit)
    return builder.icmp_unsigned("<", _rest(builder, words, half, mask), below)


def _settle_scaled(
    builder: Any,
    macs: Row,
    words: Row,
    half: Any,
    mask: Any,
    few: Any,
    few_limit: Any,
    limit: Any,
    factor: Any,
    sums: Row,
    multiplier: Any,
) -> Any:
    value = macs.load()
    sums.add(builder.mul(scaled(builder, value, multiplier), factor))
    return _open(builder, value, words, half, mask, few, few_limit, limit)


def _settle_same(
    builder: Any,
    macs: Row,
    words: Row,
    half: Any,
    mask: Any,
    few: Any,
    few_limit: Any,
    limit: Any,
    factor: Any,
    sums: Row,
) -> Any:
    value = macs.load()
    sums.add(builder.mul(value, factor))
    return _open(builder, value, words, half, mask, few, few_limit, limit)


settle_scaled = asking_lanes(_settle_scaled)
"""Add factor times the scaled MAC value and say which lanes the table has to be asked about."""
settle_same = asking_lanes(_settle_same)
"""The same where the code is the MAC value."""


def _choose(builder: Any, macs: Row, words: Row, half: Any, bits: Any, start: Any, mask: Any, index: Row) -> Any:
    word = builder.and_(builder.lshr(words.load(), half), constant(0xFFFF))
    column = builder.lshr(word, builder.sub(constant(16), bits))
    index.store(builder.add(builder.or_(builder.shl(macs.load(), bits), column), start))
    return builder.icmp_unsigned("==", builder.and_(word, mask), constant(0))


choose_entries = asking_lanes(_choose)
"""Write which entry each read looks up and say which lanes the low half decides."""


def _cut(builder: Any, found: Row, words: Row, half: Any, mask: Any, factor: Any, sums: Row) -> None:
    entry = found.load()
    code = builder.and_(builder.lshr(entry, constant(CODE_SHIFT)), constant(CODE_MASK))
    step = builder.sub(builder.and_(entry, constant(STEP_MASK)), constant(STEP_ZERO))
    other = builder.icmp_unsigned(">", _rest(builder, words, half, mask), builder.lshr(entry, constant(16)))
    taken = builder.add(code, builder.select(other, step, constant(0)))
    sums.add(builder.mul(taken, factor))


add_cut = on_lanes(_cut)
"""Add factor times the code of an entry or the code beside it, as the word says."""


@compiled
def fetch(entries: U32, index: NDArray[np.uint64], found: NDArray[np.uint64]) -> None:
    """Look entries up, two numbers of 32 bits at a time: half as many loads and stores beside the look-up itself."""
    for pair in range(LANES // 2):
        both = index[pair]
        first = np.uint64(entries[both & np.uint64(0xFFFFFFFF)])
        found[pair] = first | (np.uint64(entries[both >> np.uint64(32)]) << np.uint64(32))


def _lowest_bit(_: Any, word: Any) -> Any:
    """Return the number of the lowest bit that is set."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), generate


lowest_bit: Any = intrinsic(_lowest_bit)


@compiled
def decide(
    open_lanes: tuple[np.uint64, ...],
    macs: U32,
    words: U32,
    outputs: U32,
    read: int,
    k0: np.uint32,
    k1: np.uint32,
    entries: U32,
    low_cuts: U32,
    start: int,
    bits: int,
    multiplier: np.uint32,
    factor: np.uint32,
    sums: U32,
    row: int,
) -> None:
    """Replace what was added for open lanes by what the table and, where it must, the low half say.

    Without a multiplier the code of the entry was added, else the scaled MAC value.
    """
    word, half = (read & 7) >> 1, np.uint32(16 * (read & 1))
    for number, left in enumerate(open_lanes):
        while left:
            lane = 64 * number + int(lowest_bit(left))
            left &= left - np.uint64(1)
            mac = np.int64(macs[0, lane])
            drawn = np.int64((words[word, lane] >> half) & np.uint32(0xFFFF))
            place = start + (mac << bits) + (drawn >> (16 - bits))
            rest = drawn & ((1 << (16 - bits)) - 1)
            entry = np.int64(entries[place])
            direct = (entry >> CODE_SHIFT) & CODE_MASK
            other = rest > (entry >> 16)
            if rest == 0:
                fine = philox_fine(outputs, lane, np.uint32(read >> 3), k0, k1, word)
                other = np.uint32(fine >> half) & np.uint32(0xFFFF) >= low_cuts[place]
            code = direct + ((entry & STEP_MASK) - STEP_ZERO if other else 0)
            added = (mac * np.int64(multiplier) + 32768) >> 16 if multiplier else direct
            sums[row, lane] += np.uint32(np.uint32(code - added) * factor)
