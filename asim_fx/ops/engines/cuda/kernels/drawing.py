"""From a MAC value and a word to a code, in the kernel, by Walker's alias table (docs/numerics.md)."""

from __future__ import annotations

import triton
import triton.language as tl

from asim_fx.ops.engines.cuda.kernels.words import fine_half


@triton.jit
def draw(
    entries, low_cuts, mac, half, element, sample, high, block, eighth, k0, k1,
    COLUMN_BITS: tl.constexpr, BRANCHES: tl.constexpr,
):  # fmt: skip
    """Return the codes of one read of many outputs; the words are those of read ``eighth`` of a block."""
    if BRANCHES:
        code = tl.map_elementwise(
            _draw_one,
            # As numbers, for pointers do not pass into scalar functions.
            entries.to(tl.int64), low_cuts.to(tl.int64),
            mac, half, element, sample, high, block, eighth, k0, k1, tl.full((), COLUMN_BITS, tl.int32),
        )  # fmt: skip
    else:
        index, rest, entry = _entry(entries, mac, half, COLUMN_BITS)
        below = rest <= entry >> 16
        if tl.max((rest == 0).to(tl.int32)) > 0:
            low = fine_half(element, sample, block, high, eighth, k0, k1)
            below = tl.where(rest == 0, low < tl.load(low_cuts + index).to(tl.uint32), below)
        code = _code(entry, below)
    return code


@triton.jit
def _draw_one(entries, low_cuts, mac, half, element, sample, high, block, eighth, k0, k1, column_bits):
    """Return the code of one read: a scalar function, so that only the threads that need it draw a low half.

    Loads are in here too: a load of a whole tensor would first be moved to another layout through shared memory.
    """
    index, rest, entry = _entry(entries.to(tl.pointer_type(tl.int32)), mac, half, column_bits)
    below = rest <= entry >> 16
    if rest == 0:
        # Adds 0, for no MAC value is negative: what depends on it is not drawn for all reads ahead of the loop.
        element += (mac >> 31).to(tl.uint32)
        low = fine_half(element, sample, block, high, eighth, k0, k1)
        below = low < tl.load(low_cuts.to(tl.pointer_type(tl.int32)) + index).to(tl.uint32)
    return _code(entry, below)


@triton.jit
def _entry(entries, mac, half, column_bits):
    """Return the number of a column's entry, the bits of the word's upper half behind the column, and the entry."""
    unused = 16 - column_bits
    index = (mac << column_bits) | (half >> unused).to(tl.int32)
    rest = half & ((1 << unused) - 1)
    return index, rest, tl.load(entries + index).to(tl.uint32, bitcast=True)


@triton.jit
def _code(entry, below):
    """Return a column's code where the word is below its cut, else the other code."""
    code = ((entry >> 6) & 1023).to(tl.int32)
    return tl.where(below, code, code + ((entry & 63).to(tl.int32) - 32))


@triton.jit
def look_up(entries, mac, MULTIPLIER: tl.constexpr, BRANCHES: tl.constexpr):
    """Return the codes of a read without noise."""
    if MULTIPLIER > 0:
        code = ((mac.to(tl.uint32) * MULTIPLIER + 32768) >> 16).to(tl.int32)
    elif BRANCHES:
        code = tl.map_elementwise(_look_up_one, entries.to(tl.int64), mac)
    else:
        code = tl.load(entries + mac)
    return code


@triton.jit
def _look_up_one(entries, mac):
    return tl.load(entries.to(tl.pointer_type(tl.int32)) + mac)
