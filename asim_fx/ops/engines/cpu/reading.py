"""The kernel: count, draw, convert and add up, for many outputs side by side.

One operand's vectors are the lanes, the other's are taken one after the other. Which is which does not matter to the
result; the caller takes whatever fills the lanes best.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from asim_fx.ops.engines.cpu.compiled import compiled
from asim_fx.ops.engines.cpu.converting import IDENTITY, add_looked_up, add_scaled
from asim_fx.ops.engines.cpu.counting import count, count_more
from asim_fx.ops.engines.cpu.drawing import add_cut, choose_entries, decide, fetch, settle_same, settle_scaled
from asim_fx.ops.engines.cpu.lanes import I64, LANES, U32, lane_rows
from asim_fx.ops.engines.cpu.voting import add_voted
from asim_fx.ops.engines.cpu.words import ELEMENT, HIGH, SAMPLE, count_outputs, philox_lanes

# Columns of the cell array, one row for each cell that is read, in the order of their reads.
FIRST_TERM, END_TERM, PLACE, SUM, FIRST_READ, READS, TABLE = range(7)
# Columns of the term array: a cell's MAC value is the sum of 2**shift times the ones that both words share.
LANE_BIT, OTHER_BIT, SHIFT = range(3)
# Columns of the table array.
START, COLUMN_BITS, MULTIPLIER, FEW, FEW_LIMIT, LIMIT = range(6)


@compiled
def read_lanes(
    lanes: U32,
    others: U32,
    cells: I64,
    terms: I64,
    tables: I64,
    entries: U32,
    low_cuts: U32,
    tile_words: I64,
    how: int,
    reads_of_tile: int,
    key: U32,
    samples: I64,
    lane_flat: I64,
    other_flat: I64,
    scales: NDArray[np.float64],
    result: NDArray[np.float64],
) -> None:
    """Read all row tiles of some vectors against others and add what that comes to to ``result``.

    Args:
        lanes: (vectors, tiles, bits, words).
        others: (vectors, tiles, bits, words).
        cells: see the columns above.
        terms: see the columns above.
        tables: see the columns above.
        entries: of all tables.
        low_cuts: of all tables.
        tile_words: words of each tile in which there are rows.
        how: votes become one.
        reads_of_tile: reads of one output in one row tile.
        key: of the site.
        samples: (stride, batch, first sample) of the result; stride 0 where they could not be followed.
        lane_flat: part of the row-major index in the result that depends on the lane.
        other_flat: part that depends on the other vector.
        scales: real value of one unit of each sum, in the order in which they are added.
        result: float64, row-major.
    """
    vectors, tiles, lane_bits, words_of_bit = lanes.shape
    count_others, other_bits = others.shape[0], others.shape[2]
    flat_others = others.reshape(others.size)
    most = 1
    noisy = False
    for c in range(cells.shape[0]):
        most = max(most, cells[c, READS])
        noisy |= tables[cells[c, TABLE], COLUMN_BITS] > 0
    sums_count = scales.shape[0]
    side_by_side = lane_rows(tiles * lane_bits * words_of_bit)
    flat_lanes = side_by_side.reshape(side_by_side.size)
    outputs, words, macs = lane_rows(3), lane_rows(4), lane_rows(1)
    index, found = lane_rows(1), lane_rows(1)
    index_pairs, found_pairs = index.reshape(LANES).view(np.uint64), found.reshape(LANES).view(np.uint64)
    # The sums, and below them the codes that are voted on.
    work = lane_rows(sums_count + most)
    signed_sums = work[:sums_count].view(np.int32)
    codes = work[sums_count:]
    totals = np.zeros((count_others, sums_count, LANES), np.int64)
    nothing = np.zeros(other_bits, np.bool_)
    flat = np.zeros(LANES, np.int64)
    k0, k1 = key[0], key[1]
    for first in range(0, vectors, LANES):
        used = min(LANES, vectors - first)
        _lay_out(lanes, first, used, flat_lanes)
        span = np.int64(0)
        for n in range(LANES):
            flat[n] = lane_flat[first + min(n, used - 1)]
        span = flat[used - 1] - flat[0]
        for n in range(used):
            if flat[n] < flat[0] or flat[n] > flat[used - 1]:
                span = np.int64(-1)
        totals[:] = 0
        for tile in range(tiles):
            words_used = tile_words[tile]
            for v in range(count_others):
                if noisy:
                    count_outputs(flat, other_flat[v], span, samples[0], samples[1], samples[2], outputs)
                work[:sums_count] = 0
                block = np.int64(-1)
                at_other = (v * tiles + tile) * other_bits * words_of_bit
                for bit in range(other_bits):
                    any_row = np.uint32(0)
                    for word in range(words_used):
                        any_row |= flat_others[at_other + bit * words_of_bit + word]
                    nothing[bit] = any_row == 0
                for c in range(cells.shape[0]):
                    table = cells[c, TABLE]
                    start, column_bits = tables[table, START], tables[table, COLUMN_BITS]
                    multiplier = np.uint32(tables[table, MULTIPLIER])
                    factor, row = np.uint32(cells[c, PLACE]), cells[c, SUM]
                    counted = False
                    for t in range(cells[c, FIRST_TERM], cells[c, END_TERM]):
                        other_bit = terms[t, OTHER_BIT]
                        if nothing[other_bit]:
                            continue
                        at_lanes = (tile * lane_bits + terms[t, LANE_BIT]) * words_of_bit * LANES
                        at_bit = at_other + other_bit * words_of_bit
                        shift = np.uint32(terms[t, SHIFT])
                        if counted:
                            count_more(macs, 0, flat_lanes, at_lanes, flat_others, at_bit, words_used, shift)
                        else:
                            count(macs, 0, flat_lanes, at_lanes, flat_others, at_bit, words_used, shift)
                        counted = True
                    if column_bits == 0:
                        if not counted and entries[start] > 0:  # An offset: the code of an empty column is not 0.
                            macs[:] = 0
                            counted = True
                        if counted:
                            if multiplier:
                                add_scaled(macs, 0, multiplier, factor, work, row)
                            else:
                                add_looked_up(entries, start, macs, factor, work, row)
                        continue
                    if not counted:
                        macs[:] = 0
                    reads = cells[c, READS]
                    to, by = row, factor
                    if reads > 1:
                        codes[:] = 0
                    mask = np.uint32((1 << (16 - column_bits)) - 1)
                    few = np.uint32(tables[table, FEW])
                    few_limit, limit = np.uint32(tables[table, FEW_LIMIT]), np.uint32(tables[table, LIMIT])
                    for again in range(reads):
                        read = tile * reads_of_tile + cells[c, FIRST_READ] + again
                        if read >> 3 != block:
                            block = read >> 3
                            philox_lanes(
                                outputs,
                                ELEMENT,
                                outputs,
                                SAMPLE,
                                outputs,
                                HIGH,
                                np.uint32(block),
                                k0,
                                k1,
                                words,
                                0,
                                words,
                                1,
                                words,
                                2,
                                words,
                                3,
                            )
                        if reads > 1:
                            to, by = sums_count + again, np.uint32(1)
                        word, half = (read & 7) >> 1, np.uint32(16 * (read & 1))
                        if multiplier == IDENTITY:
                            open_lanes = settle_same(
                                macs, 0, words, word, half, mask, few, few_limit, limit, by, work, to
                            )
                        elif multiplier:
                            open_lanes = settle_scaled(
                                macs, 0, words, word, half, mask, few, few_limit, limit, by, work, to, multiplier
                            )
                        else:
                            open_lanes = choose_entries(
                                macs, 0, words, word, half, np.uint32(column_bits), np.uint32(start), mask, index, 0
                            )
                            fetch(entries, index_pairs, found_pairs)
                            add_cut(found, 0, words, word, half, mask, by, work, to)
                        if open_lanes[0] | open_lanes[1]:
                            decide(
                                open_lanes,
                                macs,
                                words,
                                outputs,
                                read,
                                k0,
                                k1,
                                entries,
                                low_cuts,
                                start,
                                column_bits,
                                multiplier,
                                by,
                                work,
                                to,
                            )
                    if reads > 1:
                        add_voted(codes, reads, how, factor, work, row)
                for s in range(sums_count):
                    for n in range(LANES):
                        totals[v, s, n] += np.int64(signed_sums[s, n])
        for v in range(count_others):
            for n in range(used):
                total = result[flat[n] + other_flat[v]]
                for s in range(sums_count):
                    total += np.float64(totals[v, s, n]) * scales[s]
                result[flat[n] + other_flat[v]] = total


@compiled
def _lay_out(vectors: U32, first: int, used: int, side_by_side: U32) -> None:
    """Write the words of some vectors side by side, zeros in lanes without a vector."""
    size = vectors.shape[1] * vectors.shape[2] * vectors.shape[3]
    flat = vectors.reshape(vectors.size)
    if used < LANES:
        side_by_side[:] = 0
    # A few words of all lanes at a time, so that what is written stays in the cache until its lines are full.
    for block in range(0, size, 16):
        for n in range(used):
            for word in range(block, min(size, block + 16)):
                side_by_side[np.uint64(word * LANES + n)] = flat[np.uint64((first + n) * size + word)]
