"""The kernel: count, draw, convert and add up, for many outputs side by side.

One operand's vectors are the lanes, the other's are taken one after the other. Which is which does not matter to the
result; the caller takes whatever fills the lanes best.
"""

from __future__ import annotations

from typing import NamedTuple

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
    Arguments,
)
from asim_fx.ops.engines.cpu.compiled import compiled
from asim_fx.ops.engines.cpu.converting import IDENTITY, add_looked_up, add_scaled
from asim_fx.ops.engines.cpu.counting import count, count_more
from asim_fx.ops.engines.cpu.drawing import add_cut, choose_entries, decide, fetch, settle_same, settle_scaled
from asim_fx.ops.engines.cpu.lanes import I64, LANES, U32, lane_rows
from asim_fx.ops.engines.cpu.voting import SPARE_ROWS, add_voted
from asim_fx.ops.engines.cpu.words import ELEMENT, HIGH, SAMPLE, count_outputs, philox_lanes

_OTHERS_AT_ONCE = 128
"""Vectors whose sums stay in the processor's second-level cache while the row tiles go by."""


class _Scratch(NamedTuple):
    """Where lanes are worked on.

    Attributes:
        outputs: counters, three rows.
        words: of one block, four rows.
        macs: one row.
        wanted: one row, entries to look up.
        wanted_pairs: the same as uint64.
        found: one row, of entries.
        found_pairs: the same as uint64.
        work: sums, one row each, below them the codes that are voted on, and rows to count votes in.
        nothing: whether a bit of the other vector is clear in all rows of the tile.
    """

    outputs: U32
    words: U32
    macs: U32
    wanted: U32
    wanted_pairs: NDArray[np.uint64]
    found: U32
    found_pairs: NDArray[np.uint64]
    work: U32
    nothing: NDArray[np.bool_]


@compiled
def read_lanes(
    lanes: U32,
    others: U32,
    of: Arguments,
    tile_words: I64,
    key: U32,
    samples: I64,
    lane_flat: I64,
    other_flat: I64,
    group_first: int,
    group_stride: int,
    result: NDArray[np.float64],
) -> None:
    """Read all row tiles of some vectors against others and add what that comes to to ``result``.

    Args:
        lanes: (groups, vectors / LANES, tiles * bits * words, LANES).
        others: (groups, vectors, tiles, bits, words).
        of: the operation.
        tile_words: words of each tile in which there are rows.
        key: of the site.
        samples: (stride, batch, first sample) of the result; stride 0 where they could not be followed.
        lane_flat: part of the row-major index in the result that depends on the lane.
        other_flat: part that depends on the other vector.
        group_first: part that depends on the group, for the first.
        group_stride: from one group to the next.
        result: float64, row-major.
    """
    groups, count_others, tiles, other_bits, words_of_bit = others.shape
    chunks, rows_of_tile, vectors = lanes.shape[1], lanes.shape[2] // tiles, lane_flat.shape[0]
    flat_lanes, flat_others = lanes.reshape(lanes.size), others.reshape(others.size)
    sums_count = of.scales.shape[0]
    most = 1
    for c in range(of.cells.shape[0]):
        most = max(most, of.cells[c, READS])
    wanted, found = lane_rows(1), lane_rows(1)
    scratch = _Scratch(
        lane_rows(3),
        lane_rows(4),
        lane_rows(1),
        wanted,
        wanted.reshape(LANES).view(np.uint64),
        found,
        found.reshape(LANES).view(np.uint64),
        lane_rows(sums_count + most + SPARE_ROWS),
        np.zeros(other_bits, np.bool_),
    )
    totals = np.zeros((min(_OTHERS_AT_ONCE, count_others), sums_count, LANES), np.int64)
    flat = np.zeros(LANES, np.int64)
    for group in range(groups):
        for chunk in range(chunks):
            used = min(LANES, vectors - chunk * LANES)
            span = _places(lane_flat, chunk * LANES, used, group_first + group * group_stride, flat)
            at_chunk = (group * chunks + chunk) * tiles * rows_of_tile * LANES
            for first in range(0, count_others, _OTHERS_AT_ONCE):
                last = min(count_others, first + _OTHERS_AT_ONCE)
                totals[:] = 0
                for tile in range(tiles):
                    _read_tile(
                        flat_lanes,
                        at_chunk + tile * rows_of_tile * LANES,
                        flat_others,
                        ((group * count_others + first) * tiles + tile) * other_bits * words_of_bit,
                        tiles * other_bits * words_of_bit,
                        words_of_bit,
                        tile_words[tile],
                        of,
                        tile,
                        key,
                        samples,
                        flat,
                        span,
                        other_flat[first:last],
                        scratch,
                        totals,
                    )
                for v in range(first, last):
                    for n in range(used):
                        total = result[flat[n] + other_flat[v]]
                        for s in range(sums_count):
                            total += np.float64(totals[v - first, s, n]) * of.scales[s]
                        result[flat[n] + other_flat[v]] = total


@compiled
def _places(lane_flat: I64, first: int, used: int, group_flat: int, flat: I64) -> np.int64:
    """Write where in the result each lane goes; return how far that spans, or -1 where the first is not the least."""
    for n in range(LANES):
        flat[n] = group_flat + lane_flat[first + min(n, used - 1)]
    span = np.int64(flat[used - 1] - flat[0])
    for n in range(used):
        if flat[n] < flat[0] or flat[n] > flat[used - 1]:
            span = np.int64(-1)
    return span


@compiled
def _read_tile(
    lanes: U32,
    at_lanes: int,
    others: U32,
    at_others: int,
    step: int,
    words_of_bit: int,
    used_words: int,
    of: Arguments,
    tile: int,
    key: U32,
    samples: I64,
    flat: I64,
    span: np.int64,
    other_flat: I64,
    scratch: _Scratch,
    totals: I64,
) -> None:
    """Add the codes of all cells of one row tile to the totals (vectors, sums, LANES) of some other vectors."""
    # By names of their own: numba counts references at each access to a field, and at each call with arrays.
    cells, terms, tables, entries, low_cuts = of.cells, of.terms, of.tables, of.entries, of.low_cuts
    outputs, words, macs, work = scratch.outputs, scratch.words, scratch.macs, scratch.work
    wanted, wanted_pairs, found, found_pairs = scratch.wanted, scratch.wanted_pairs, scratch.found, scratch.found_pairs
    nothing = scratch.nothing
    noisy = False
    for c in range(cells.shape[0]):
        noisy |= tables[cells[c, TABLE], COLUMN_BITS] > 0
    voted = of.scales.shape[0]
    codes = work[voted:]
    signed_sums = work[:voted].view(np.int32)
    k0, k1 = key[0], key[1]
    for v in range(other_flat.shape[0]):
        if noisy:
            count_outputs(flat, other_flat[v], span, samples[0], samples[1], samples[2], outputs)
        work[:voted] = 0
        for bit in range(nothing.shape[0]):
            any_row = np.uint32(0)
            for word in range(used_words):
                any_row |= others[np.uint64(at_others + v * step + bit * words_of_bit + word)]
            nothing[bit] = any_row == 0
        block = np.int64(-1)
        for c in range(cells.shape[0]):
            table = cells[c, TABLE]
            start, column_bits = tables[table, START], tables[table, COLUMN_BITS]
            multiplier = np.uint32(tables[table, MULTIPLIER])
            factor, row = np.uint32(cells[c, PLACE]), cells[c, SUM]
            counted = False
            for t in range(cells[c, FIRST_TERM], cells[c, END_TERM]):
                if nothing[terms[t, OTHER_BIT]]:
                    continue
                at_bit = at_others + v * step + terms[t, OTHER_BIT] * words_of_bit
                at_bit_lanes = at_lanes + terms[t, LANE_BIT] * words_of_bit * LANES
                shift = np.uint32(terms[t, SHIFT])
                if counted:
                    count_more(macs, 0, lanes, at_bit_lanes, others, at_bit, used_words, shift)
                else:
                    count(macs, 0, lanes, at_bit_lanes, others, at_bit, used_words, shift)
                counted = True
            if not counted:
                if column_bits == 0 and entries[start] == 0:
                    continue
                macs[:] = 0  # Noise, or an offset: the code of an empty column is not 0.
            if column_bits == 0:
                if multiplier:
                    add_scaled(macs, 0, multiplier, factor, work, row)
                else:
                    add_looked_up(entries, start, macs, factor, work, row)
                continue
            mask = np.uint32((1 << (16 - column_bits)) - 1)
            few, few_limit = np.uint32(tables[table, FEW]), np.uint32(tables[table, FEW_LIMIT])
            limit = np.uint32(tables[table, LIMIT])
            reads = cells[c, READS]
            to, by = row, factor
            if reads > 1:
                codes[:] = 0
                by = np.uint32(1)
            for again in range(reads):
                read = tile * of.reads_of_tile + cells[c, FIRST_READ] + again
                if read >> 3 != block:
                    block = read >> 3
                    number = np.uint32(block)
                    # fmt: off
                    philox_lanes(
                        outputs, ELEMENT, outputs, SAMPLE, outputs, HIGH, number, k0, k1,
                        words, 0, words, 1, words, 2, words, 3,
                    )
                    # fmt: on
                if reads > 1:
                    to = voted + again
                word, half = (read & 7) >> 1, np.uint32(16 * (read & 1))
                if multiplier == IDENTITY:
                    open_lanes = settle_same(macs, 0, words, word, half, mask, few, few_limit, limit, by, work, to)
                elif multiplier:
                    open_lanes = settle_scaled(
                        macs, 0, words, word, half, mask, few, few_limit, limit, by, work, to, multiplier
                    )
                else:
                    bits = np.uint32(column_bits)
                    open_lanes = choose_entries(macs, 0, words, word, half, bits, np.uint32(start), mask, wanted, 0)
                    fetch(entries, wanted_pairs, found_pairs)
                    add_cut(found, 0, words, word, half, mask, by, work, to)
                if open_lanes[0] | open_lanes[1]:
                    # fmt: off
                    decide(
                        open_lanes, macs, words, outputs, read, k0, k1, entries, low_cuts, start, column_bits,
                        multiplier, by, work, to,
                    )
                    # fmt: on
            if reads > 1:
                add_voted(work, voted, reads, work.shape[0] - SPARE_ROWS, of.how, factor, row)
        for s in range(voted):
            for n in range(LANES):
                totals[v, s, n] += np.int64(signed_sums[s, n])
