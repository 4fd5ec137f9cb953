"""The kernel: count, draw, convert and add up, for 128 outputs side by side.

One operand's vectors are the lanes, the other's are taken one after the other. Which is which does not matter to the
result; the caller takes whatever fills the lanes best.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from asim_fx.ops.engines.cpu.compiled import compiled, left, ones_in, right
from asim_fx.ops.engines.cpu.words import count_outputs, philox_block

LANES = 128

# Columns of the cell array, one row for each cell that is read, in the order of their reads.
FIRST_TERM, END_TERM, PLACE, SUM, FIRST_READ, READS, TABLE = range(7)
# Columns of the term array: a cell's MAC value is the sum of 2**shift times the ones that both words share.
LANE_BIT, OTHER_BIT, SHIFT = range(3)
# Columns of the table array.
START, COLUMN_BITS, MULTIPLIER = range(3)
# How votes become one.
MODE, MEDIAN, MEAN = range(3)

U32 = NDArray[np.uint32]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]


@compiled
def _count(
    others: U32, v: int, tile: int, other_bit: int, lanes: U32, lane_bit: int, shift: np.uint32, fresh: bool, mac: U32
) -> None:
    """Add 2**shift times the ones that a word of ``others`` and each lane share, over the words of a tile, to ``mac``.

    ``fresh``: to zero instead.

    Eight words at a time, so that sums stay in registers. Both arrays are indexed whole: with a view for each word the
    compiler would have to check too many pairs for overlap and would not vectorise.
    """
    words = others.shape[3]
    start = 0
    if fresh and words < 8:
        for n in range(LANES):
            mac[n] = 0
    while start + 8 <= words:
        x0 = others[v, tile, other_bit, start]
        x1 = others[v, tile, other_bit, start + 1]
        x2 = others[v, tile, other_bit, start + 2]
        x3 = others[v, tile, other_bit, start + 3]
        x4 = others[v, tile, other_bit, start + 4]
        x5 = others[v, tile, other_bit, start + 5]
        x6 = others[v, tile, other_bit, start + 6]
        x7 = others[v, tile, other_bit, start + 7]
        if fresh and start == 0:
            for n in range(LANES):
                low = (
                    ones_in(x0 & lanes[tile, lane_bit, start, n])
                    + ones_in(x1 & lanes[tile, lane_bit, start + 1, n])
                    + ones_in(x2 & lanes[tile, lane_bit, start + 2, n])
                    + ones_in(x3 & lanes[tile, lane_bit, start + 3, n])
                )
                top = (
                    ones_in(x4 & lanes[tile, lane_bit, start + 4, n])
                    + ones_in(x5 & lanes[tile, lane_bit, start + 5, n])
                    + ones_in(x6 & lanes[tile, lane_bit, start + 6, n])
                    + ones_in(x7 & lanes[tile, lane_bit, start + 7, n])
                )
                mac[n] = left(np.uint32(low + top), shift)
        else:
            for n in range(LANES):
                low = (
                    ones_in(x0 & lanes[tile, lane_bit, start, n])
                    + ones_in(x1 & lanes[tile, lane_bit, start + 1, n])
                    + ones_in(x2 & lanes[tile, lane_bit, start + 2, n])
                    + ones_in(x3 & lanes[tile, lane_bit, start + 3, n])
                )
                top = (
                    ones_in(x4 & lanes[tile, lane_bit, start + 4, n])
                    + ones_in(x5 & lanes[tile, lane_bit, start + 5, n])
                    + ones_in(x6 & lanes[tile, lane_bit, start + 6, n])
                    + ones_in(x7 & lanes[tile, lane_bit, start + 7, n])
                )
                mac[n] += left(np.uint32(low + top), shift)
        start += 8
    while start < words:
        x0 = others[v, tile, other_bit, start]
        for n in range(LANES):
            mac[n] += left(ones_in(x0 & lanes[tile, lane_bit, start, n]), shift)
        start += 1


@compiled
def _look_up(start: np.int64, multiplier: np.uint32, entries: U32, mac: U32, found: U32) -> None:
    """Write the codes of reads without noise."""
    if multiplier:
        for n in range(LANES):
            found[n] = right(np.uint32(mac[n] * multiplier + np.uint32(32768)), np.uint32(16))
    else:
        for n in range(LANES):
            found[n] = entries[start + np.int64(mac[n])]


@compiled
def _draw(
    start: np.int64,
    bits: np.uint32,
    entries: U32,
    mac: U32,
    words: U32,
    word: np.int64,
    shift: np.uint32,
    index: U32,
    found: U32,
) -> bool:
    """Write the codes of noisy reads as the high halves decide; return whether the low half matters for any."""
    below = np.uint32(np.uint32(16) - bits)
    mask = np.uint32(np.uint32(1) << below) - np.uint32(1)
    undecided = np.uint32(0)
    for n in range(LANES):
        half = right(words[word, n], shift) & np.uint32(0xFFFF)
        index[n] = np.uint32(left(mac[n], bits) | right(np.uint32(half), below)) + np.uint32(start)
        # The top bit is set only where the rest is 0.
        undecided |= np.uint32(np.uint32(half & mask) - np.uint32(1))
    for n in range(LANES):
        found[n] = entries[index[n]]
    for n in range(LANES):
        rest = right(words[word, n], shift) & np.uint32(mask)
        entry = found[n]
        code = right(entry, np.uint32(6)) & np.uint32(1023)
        step = np.uint32(np.uint32(entry & np.uint32(63)) - np.uint32(32))
        found[n] = np.uint32(code + (step if np.uint32(rest) > right(entry, np.uint32(16)) else np.uint32(0)))
    return bool(undecided >= np.uint32(0x80000000))


@compiled
def _decide(
    bits: np.int64,
    entries: U32,
    low_cuts: U32,
    words: U32,
    read: np.int64,
    outputs: U32,
    k0: np.uint32,
    k1: np.uint32,
    index: U32,
    found: U32,
    fine: U32,
) -> None:
    """Decide by the low half where the high half leaves it open."""
    shift = np.uint32(16 * (read & 1))
    word = (read & 7) >> 1
    mask = np.uint32((1 << (16 - bits)) - 1)
    for n in range(LANES):
        if right(words[word, n], shift) & mask == 0:
            one = outputs[:, n : n + 1].copy()
            one[2, 0] |= np.uint32(0x40000000)
            philox_block(one[0], one[1], one[2], np.uint32(read >> 3), k0, k1, fine)
            low = np.uint32(fine[word, 0] >> shift) & np.uint32(0xFFFF)
            if low >= low_cuts[index[n]]:
                found[n] = np.uint32(found[n] + np.uint32(entries[index[n]] & np.uint32(63))) - np.uint32(32)


@compiled
def _add(found: U32, place: np.int32, sums: I32, s: np.int64) -> None:
    for n in range(LANES):
        sums[s, n] += np.int32(found[n]) * place


@compiled
def _vote(codes: I32, reads: int, how: int, one: U32) -> None:
    """Write what the reads of each lane become together."""
    for n in range(LANES):
        if how == MEAN:
            total = np.int32(0)
            for again in range(reads):
                total += codes[again, n]
            one[n] = np.uint32(total)
        elif how == MEDIAN:
            for at in range(1, reads):
                value = codes[at, n]
                back = at
                while back > 0 and codes[back - 1, n] > value:
                    codes[back, n] = codes[back - 1, n]
                    back -= 1
                codes[back, n] = value
            one[n] = np.uint32(codes[(reads - 1) // 2, n])
        else:
            best, best_count = codes[0, n], 0
            for candidate in range(reads):
                count = 0
                for again in range(reads):
                    count += codes[again, n] == codes[candidate, n]
                if count > best_count or (count == best_count and codes[candidate, n] < best):
                    best, best_count = codes[candidate, n], count
            one[n] = np.uint32(best)


@compiled
def read_lanes(
    lanes: U32,
    others: U32,
    cells: I64,
    terms: I64,
    tables: I64,
    entries: U32,
    low_cuts: U32,
    how: int,
    reads_of_tile: int,
    key: U32,
    samples: I64,
    lane_flat: I64,
    other_flat: I64,
    scales: NDArray[np.float64],
    used: int,
    result: NDArray[np.float64],
) -> None:
    """Read all row tiles of LANES vectors against other vectors and add what that comes to to ``result``.

    Args:
        lanes: (tiles, bits, words, LANES).
        others: (vectors, tiles, bits, words).
        cells: see the columns above.
        terms: see the columns above.
        tables: see the columns above.
        entries: of all tables.
        low_cuts: of all tables.
        how: votes become one.
        reads_of_tile: reads of one output in one row tile.
        key: of the site.
        samples: (stride, batch, first sample) of the result; stride 0 where they could not be followed.
        lane_flat: part of the row-major index in the result that depends on the lane.
        other_flat: part that depends on the other vector.
        scales: real value of one unit of each sum, in the order in which they are added.
        used: lanes that hold a vector.
        result: float64, row-major.
    """
    tiles = lanes.shape[0]
    span = lane_flat[LANES - 1] - lane_flat[0]
    for n in range(LANES):
        if lane_flat[n] < lane_flat[0] or lane_flat[n] > lane_flat[LANES - 1]:
            span = np.int64(-1)
    most = 1
    noisy = False
    for c in range(cells.shape[0]):
        most = max(most, cells[c, READS])
        noisy |= tables[cells[c, TABLE], COLUMN_BITS] > 0
    outputs = np.zeros((3, LANES), np.uint32)
    words = np.zeros((4, LANES), np.uint32)
    fine = np.zeros((4, 1), np.uint32)
    mac = np.zeros(LANES, np.uint32)
    index = np.zeros(LANES, np.uint32)
    found = np.zeros(LANES, np.uint32)
    codes = np.zeros((most, LANES), np.int32)
    sums = np.zeros((scales.shape[0], LANES), np.int32)
    totals = np.zeros((others.shape[0], scales.shape[0], LANES), np.int64)
    nothing = np.zeros(others.shape[2], np.bool_)
    for tile in range(tiles):
        for v in range(others.shape[0]):
            if noisy:
                count_outputs(
                    lane_flat,
                    other_flat[v],
                    span,
                    samples[0],
                    samples[1],
                    samples[2],
                    outputs[0],
                    outputs[1],
                    outputs[2],
                )
            sums[:] = 0
            block = np.int64(-1)
            for bit in range(others.shape[2]):
                any_row = np.uint32(0)
                for word in range(others.shape[3]):
                    any_row |= others[v, tile, bit, word]
                nothing[bit] = any_row == 0
            for c in range(cells.shape[0]):
                table = cells[c, TABLE]
                start, column_bits = tables[table, START], tables[table, COLUMN_BITS]
                counted = False
                for t in range(cells[c, FIRST_TERM], cells[c, END_TERM]):
                    other_bit = terms[t, OTHER_BIT]
                    if not nothing[other_bit]:
                        shift = np.uint32(terms[t, SHIFT])
                        _count(others, v, tile, other_bit, lanes, terms[t, LANE_BIT], shift, not counted, mac)
                        counted = True
                place = np.int32(cells[c, PLACE])
                if column_bits == 0:
                    if not counted and entries[start] > 0:  # An offset: the code of an empty column is not 0.
                        mac[:] = 0
                        counted = True
                    if counted:
                        _look_up(start, np.uint32(tables[table, MULTIPLIER]), entries, mac, found)
                        _add(found, place, sums, cells[c, SUM])
                    continue
                if not counted:
                    mac[:] = 0
                reads = cells[c, READS]
                for again in range(reads):
                    read = tile * reads_of_tile + cells[c, FIRST_READ] + again
                    if read >> 3 != block:
                        block = read >> 3
                        philox_block(outputs[0], outputs[1], outputs[2], np.uint32(block), key[0], key[1], words)
                    word, half = (read & 7) >> 1, np.uint32(16 * (read & 1))
                    if _draw(start, np.uint32(column_bits), entries, mac, words, word, half, index, found):
                        _decide(
                            column_bits, entries, low_cuts, words, read, outputs, key[0], key[1], index, found, fine
                        )
                    if reads > 1:
                        for n in range(LANES):
                            codes[again, n] = np.int32(found[n])
                if reads > 1:
                    _vote(codes, reads, how, found)
                _add(found, place, sums, cells[c, SUM])
            for s in range(scales.shape[0]):
                for n in range(LANES):
                    totals[v, s, n] += np.int64(sums[s, n])
    for v in range(others.shape[0]):
        for n in range(used):
            total = result[lane_flat[n] + other_flat[v]]
            for s in range(scales.shape[0]):
                total += np.float64(totals[v, s, n]) * scales[s]
            result[lane_flat[n] + other_flat[v]] = total
