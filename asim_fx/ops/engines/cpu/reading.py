"""The kernel: count, draw, convert and add up, for 64 outputs side by side.

One operand's vectors are the lanes, the other's are taken one after the other. Which is which does not matter to the
result; the caller takes whatever fills the lanes best.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from asim_fx.ops.engines.cpu.compiled import compiled, ones_in
from asim_fx.ops.engines.cpu.words import count_outputs, philox_block

LANES = 64

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
def _count8(other: U32, lanes: U32, start: int, shift: np.uint32, mac: U32) -> None:
    x0, x1, x2, x3 = other[start], other[start + 1], other[start + 2], other[start + 3]
    x4, x5, x6, x7 = other[start + 4], other[start + 5], other[start + 6], other[start + 7]
    w0, w1, w2, w3 = lanes[start], lanes[start + 1], lanes[start + 2], lanes[start + 3]
    w4, w5, w6, w7 = lanes[start + 4], lanes[start + 5], lanes[start + 6], lanes[start + 7]
    for n in range(LANES):
        low = ones_in(x0 & w0[n]) + ones_in(x1 & w1[n]) + ones_in(x2 & w2[n]) + ones_in(x3 & w3[n])
        top = ones_in(x4 & w4[n]) + ones_in(x5 & w5[n]) + ones_in(x6 & w6[n]) + ones_in(x7 & w7[n])
        mac[n] += np.uint32(low + top) << shift


@compiled
def _count(other: U32, lanes: U32, shift: np.uint32, mac: U32) -> None:
    """Add 2**shift times the common ones of ``other`` (words) and ``lanes`` (words, LANES) to ``mac``."""
    words = other.shape[0]
    start = 0
    while start + 8 <= words:
        _count8(other, lanes, start, shift, mac)
        start += 8
    while start + 2 <= words:
        x0, x1 = other[start], other[start + 1]
        w0, w1 = lanes[start], lanes[start + 1]
        for n in range(LANES):
            mac[n] += np.uint32(ones_in(x0 & w0[n]) + ones_in(x1 & w1[n])) << shift
        start += 2
    if start < words:
        x0, w0 = other[start], lanes[start]
        for n in range(LANES):
            mac[n] += np.uint32(ones_in(x0 & w0[n])) << shift


@compiled
def _look_up(table: I64, entries: U32, mac: U32, found: U32) -> None:
    """Write the codes of reads without noise."""
    multiplier = np.uint32(table[MULTIPLIER])
    if multiplier:
        for n in range(LANES):
            found[n] = np.uint32(mac[n] * multiplier + np.uint32(32768)) >> np.uint32(16)
        return
    mine = entries[table[START] :]
    for n in range(LANES):
        found[n] = mine[mac[n]]


@compiled
def _draw(
    table: I64, entries: U32, low_cuts: U32, mac: U32, words: U32, shift: np.uint32, index: U32, found: U32
) -> bool:
    """Write the codes of noisy reads as the high halves decide; return whether the low half matters for any."""
    bits = np.uint32(table[COLUMN_BITS])
    below = np.uint32(16) - bits
    mask = np.uint32((np.uint32(1) << below) - np.uint32(1))
    undecided = np.uint32(0)
    for n in range(LANES):
        half = np.uint32(words[n] >> shift) & np.uint32(0xFFFF)
        index[n] = np.uint32(mac[n] << bits) | np.uint32(half >> below)
        undecided |= np.uint32((half & mask) == np.uint32(0))
    mine = entries[table[START] :]
    for n in range(LANES):
        found[n] = mine[index[n]]
    for n in range(LANES):
        rest = np.uint32(words[n] >> shift) & mask
        entry = found[n]
        code = np.uint32(entry >> np.uint32(6)) & np.uint32(1023)
        other = np.uint32(np.uint32(code + np.uint32(entry & np.uint32(63))) - np.uint32(32))
        found[n] = other if rest > np.uint32(entry >> np.uint32(16)) else code
    return undecided != 0


@compiled
def _decide(
    table: I64,
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
    mask = np.uint32((1 << (16 - table[COLUMN_BITS])) - 1)
    for n in range(LANES):
        if np.uint32(words[n] >> shift) & mask == 0:
            one = outputs[:, n : n + 1].copy()
            one[2, 0] |= np.uint32(0x40000000)
            philox_block(one[0], one[1], one[2], np.uint32(read >> 3), k0, k1, fine)
            low = np.uint32(fine[(read & 7) >> 1, 0] >> shift) & np.uint32(0xFFFF)
            at = table[START] + np.int64(index[n])
            if low >= low_cuts[at]:
                found[n] = np.uint32(found[n] + np.uint32(entries[at] & np.uint32(63))) - np.uint32(32)


@compiled
def _vote(codes: I32, reads: int, how: int, one: I32) -> None:
    for n in range(LANES):
        if how == MEAN:
            total = np.int32(0)
            for again in range(reads):
                total += codes[again, n]
            one[n] = total
        elif how == MEDIAN:
            for at in range(1, reads):
                value = codes[at, n]
                back = at
                while back > 0 and codes[back - 1, n] > value:
                    codes[back, n] = codes[back - 1, n]
                    back -= 1
                codes[back, n] = value
            one[n] = codes[(reads - 1) // 2, n]
        else:
            best, best_count = codes[0, n], 0
            for candidate in range(reads):
                count = 0
                for again in range(reads):
                    count += codes[again, n] == codes[candidate, n]
                if count > best_count or (count == best_count and codes[candidate, n] < best):
                    best, best_count = codes[candidate, n], count
            one[n] = best


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
    reads_of_tile: np.int64,
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
    one = np.zeros(LANES, np.int32)
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
                table = tables[cells[c, TABLE]]
                quiet = table[COLUMN_BITS] == 0
                for n in range(LANES):
                    mac[n] = 0
                counted = False
                for t in range(cells[c, FIRST_TERM], cells[c, END_TERM]):
                    if not nothing[terms[t, OTHER_BIT]]:
                        counted = True
                        _count(
                            others[v, tile, terms[t, OTHER_BIT]],
                            lanes[tile, terms[t, LANE_BIT]],
                            np.uint32(terms[t, SHIFT]),
                            mac,
                        )
                if quiet and not counted:
                    continue
                place = np.int32(cells[c, PLACE])
                mine = sums[cells[c, SUM]]
                reads = cells[c, READS]
                if quiet:
                    _look_up(table, entries, mac, found)
                for again in range(reads):
                    if not quiet:
                        read = tile * reads_of_tile + cells[c, FIRST_READ] + again
                        if read >> 3 != block:
                            block = read >> 3
                            philox_block(outputs[0], outputs[1], outputs[2], np.uint32(block), key[0], key[1], words)
                        chosen = words[(read & 7) >> 1]
                        shift = np.uint32(16 * (read & 1))
                        if _draw(table, entries, low_cuts, mac, chosen, shift, index, found):
                            _decide(table, entries, low_cuts, chosen, read, outputs, key[0], key[1], index, found, fine)
                    if reads > 1:
                        for n in range(LANES):
                            codes[again, n] = np.int32(found[n])
                if reads > 1:
                    _vote(codes, reads, how, one)
                    for n in range(LANES):
                        mine[n] += one[n] * place
                else:
                    for n in range(LANES):
                        mine[n] += np.int32(found[n]) * place
            for s in range(scales.shape[0]):
                for n in range(LANES):
                    totals[v, s, n] += np.int64(sums[s, n])
    for v in range(others.shape[0]):
        for n in range(used):
            total = result[lane_flat[n] + other_flat[v]]
            for s in range(scales.shape[0]):
                total += np.float64(totals[v, s, n]) * scales[s]
            result[lane_flat[n] + other_flat[v]] = total
