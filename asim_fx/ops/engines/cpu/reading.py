"""The kernel: count, draw, convert and add up, for many outputs side by side.

One operand's vectors are the lanes, the other's are taken one after the other. Which is which does not matter to the
result; the caller takes whatever fills the lanes best.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from asim_fx.ops.engines.cpu.arguments import (
    COLUMN_BITS,
    END_TERM,
    FEW,
    FEW_LIMIT,
    FIRST_READ,
    FIRST_TERM,
    LANE_BIT,
    LIMIT,
    MULTIPLIER,
    OTHER_BIT,
    PLACE,
    READS,
    SHIFT,
    START,
    SUM,
    TABLE,
)
from asim_fx.ops.engines.cpu.compiled import compiled
from asim_fx.ops.engines.cpu.converting import IDENTITY, add_looked_up, add_scaled
from asim_fx.ops.engines.cpu.counting import count, count_more
from asim_fx.ops.engines.cpu.drawing import add_cut, choose_entries, decide, fetch, settle_same, settle_scaled
from asim_fx.ops.engines.cpu.lanes import I64, LANES, U32, lane_rows
from asim_fx.ops.engines.cpu.voting import add_voted
from asim_fx.ops.engines.cpu.words import ELEMENT, HIGH, SAMPLE, count_outputs, philox_lanes


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
    group_first: int,
    group_stride: int,
    scales: NDArray[np.float64],
    result: NDArray[np.float64],
) -> None:
    """Read all row tiles of some vectors against others and add what that comes to to ``result``.

    Args:
        lanes: (groups, vectors / LANES, tiles * bits * words, LANES).
        others: (groups, vectors, tiles, bits, words).
        cells: see ``Arguments``.
        terms: see ``Arguments``.
        tables: see ``Arguments``.
        entries: see ``Arguments``.
        low_cuts: see ``Arguments``.
        tile_words: words of each tile in which there are rows.
        how: see ``Arguments``.
        reads_of_tile: see ``Arguments``.
        key: of the site.
        samples: (stride, batch, first sample) of the result; stride 0 where they could not be followed.
        lane_flat: part of the row-major index in the result that depends on the lane.
        other_flat: part that depends on the other vector.
        group_first: part that depends on the group, for the first.
        group_stride: from one group to the next.
        scales: see ``Arguments``.
        result: float64, row-major.
    """
    groups, count_others, tiles, other_bits, words_of_bit = others.shape
    chunks, rows_of_tile, vectors = lanes.shape[1], lanes.shape[2] // tiles, lane_flat.shape[0]
    flat_others = others.reshape(others.size)
    most = 1
    noisy = False
    for c in range(cells.shape[0]):
        most = max(most, cells[c, READS])
        noisy |= tables[cells[c, TABLE], COLUMN_BITS] > 0
    sums_count = scales.shape[0]
    flat_lanes = lanes.reshape(lanes.size)
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
    for group in range(groups):
        group_flat = group_first + group * group_stride
        for chunk in range(chunks):
            first = chunk * LANES
            used = min(LANES, vectors - first)
            at_chunk = (group * chunks + chunk) * tiles * rows_of_tile * LANES
            span = np.int64(0)
            for n in range(LANES):
                flat[n] = group_flat + lane_flat[first + min(n, used - 1)]
            span = flat[used - 1] - flat[0]
            for n in range(used):
                if flat[n] < flat[0] or flat[n] > flat[used - 1]:
                    span = np.int64(-1)
            totals[:] = 0
            for tile in range(tiles):
                words_used = tile_words[tile]
                at_tile = at_chunk + tile * rows_of_tile * LANES
                for v in range(count_others):
                    if noisy:
                        count_outputs(flat, other_flat[v], span, samples[0], samples[1], samples[2], outputs)
                    work[:sums_count] = 0
                    block = np.int64(-1)
                    at_other = ((group * count_others + v) * tiles + tile) * other_bits * words_of_bit
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
                            at_lanes = at_tile + terms[t, LANE_BIT] * words_of_bit * LANES
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
