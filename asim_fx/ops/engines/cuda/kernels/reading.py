"""The kernel: sums of row tiles on tensor cores, drawn, converted and added up in registers."""

from __future__ import annotations

import triton
import triton.language as tl

from asim_fx.ops.engines.cuda.kernels.votes import vote
from asim_fx.ops.engines.cuda.kernels.words import below_cut, below_cut_everywhere, half_of, output_counters, philox_block


@triton.jit(do_not_specialize=["vectors", "outputs", "tiles", "stride", "batch", "first_sample", "k0", "k1"])
def read_tiles(
    streamed,
    stored,
    cells,
    entries,
    low_cuts,
    vector_flat,
    sums,
    vectors,
    outputs,
    tiles,
    reads_of_tile,
    output_flat: tl.int64,
    stride: tl.int64,
    batch: tl.int64,
    first_sample: tl.int64,
    k0: tl.int64,
    k1: tl.int64,
    CELLS: tl.constexpr,
    STREAMED: tl.constexpr,
    STORED: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMN_BITS: tl.constexpr,
    MULTIPLIER: tl.constexpr,
    READS: tl.constexpr,
    COMPARED: tl.constexpr,
    MIDDLE: tl.constexpr,
    LONG: tl.constexpr,
    WIDE: tl.constexpr,
    BRANCHES: tl.constexpr,
    BLOCK_K: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_M: tl.constexpr,
):
    """Read all row tiles of a block of outputs and write the sum of places times codes.

    Args:
        streamed: int8 (groups, vectors, tiles, STREAMED, ROWS).
        stored: int8 (groups, outputs, tiles, STORED, ROWS).
        cells: int32 (CELLS, 4): stored plane, streamed plane, place, first read within a tile.
        entries: int32 bits of the table; see ``ReadTable``.
        low_cuts: int32, of the table.
        vector_flat: int64 (groups, vectors), what vectors add to the row-major index in the result.
        sums: (groups, vectors, outputs), int64 where LONG, else int32.
        vectors: of each group.
        outputs: of each group.
        tiles: row tiles.
        reads_of_tile: reads of one output in one tile.
        output_flat: step of an output in the row-major index.
        stride: of the samples in the result; 0: not followed.
        batch: samples of the result.
        first_sample: number of the first.
        k0: key of the site, low word.
        k1: high word.
        COLUMN_BITS: of the table; 0 without noise.
        MULTIPLIER: see ``ReadTable``.
        READS: of each cell.
        COMPARED: whether votes are compared (mode, median) rather than added (mean).
        MIDDLE: see ``vote``.
        LONG: whether sums need 64 bits.
        WIDE: whether row-major indices or sample numbers need more than 31 bits.
        BRANCHES: whether a thread can decide on its own (not in Triton's interpreter).
    """
    blocks_n = tl.cdiv(outputs, BLOCK_N)
    blocks_m = tl.cdiv(vectors, BLOCK_M)
    program = tl.program_id(0)
    n = (program % blocks_n) * BLOCK_N + tl.arange(0, BLOCK_N)
    program = program // blocks_n
    m = (program % blocks_m) * BLOCK_M + tl.arange(0, BLOCK_M)
    group = (program // blocks_m).to(tl.int64)
    # The last block repeats its last vector: loads without a mask are wider.
    m_row = group * vectors + tl.minimum(m, vectors - 1)
    n_row = group * outputs + tl.minimum(n, outputs - 1)
    k = tl.arange(0, BLOCK_K)
    x_rows = streamed + m_row[:, None] * (tiles * STREAMED * ROWS) + k[None, :]
    w_rows = stored + n_row[None, :] * (tiles * STORED * ROWS) + k[:, None]

    if COLUMN_BITS > 0:
        flat = tl.load(vector_flat + m_row)[:, None] + (n * output_flat)[None, :]
        element, sample, high = output_counters(flat, stride, batch, first_sample, WIDE)
        k0 = k0.to(tl.uint32)
        k1 = k1.to(tl.uint32)
        # Set before the first read; the block's number is none that a read has.
        w0 = element
        w1 = element
        w2 = element
        w3 = element
        block = tl.full((), -1, tl.int32)

    total = tl.zeros((BLOCK_M, BLOCK_N), tl.int64 if LONG else tl.int32)
    for tile in range(tiles):
        for cell in range(CELLS):
            i = tl.load(cells + 4 * cell)
            j = tl.load(cells + 4 * cell + 1)
            place = tl.load(cells + 4 * cell + 2)
            mac = tl.zeros((BLOCK_M, BLOCK_N), tl.int32)
            for start in tl.static_range(0, ROWS, BLOCK_K):
                x = tl.load(x_rows + ((tile * STREAMED + j) * ROWS + start))
                w = tl.load(w_rows + ((tile * STORED + i) * ROWS + start))
                mac = tl.dot(x, w, mac)
            if COLUMN_BITS == 0:
                if MULTIPLIER > 0:
                    code = ((mac.to(tl.uint32) * MULTIPLIER + 32768) >> 16).to(tl.int32)
                else:
                    code = tl.load(entries + mac)
            else:
                first = tile * reads_of_tile + tl.load(cells + 4 * cell + 3)
                codes = ()
                code = tl.zeros_like(mac)
                for again in tl.static_range(READS):
                    read = first + again
                    if read >> 3 != block:
                        block = read >> 3
                        w0, w1, w2, w3 = philox_block(element, sample, block.to(tl.uint32), high, k0, k1)
                    eighth = read & 7
                    half = half_of(w0, w1, w2, w3, eighth)
                    index = (mac << COLUMN_BITS) | (half >> (16 - COLUMN_BITS)).to(tl.int32)
                    rest = half & ((1 << (16 - COLUMN_BITS)) - 1)
                    entry = tl.load(entries + index).to(tl.uint32, bitcast=True)
                    # The low half of the word decides only where the rest of the high half is 0.
                    low_cut = tl.load(low_cuts + index, mask=rest == 0, other=0).to(tl.uint32)
                    if BRANCHES:
                        below = tl.map_elementwise(
                            below_cut, rest, entry, low_cut, element, sample, high, block.to(tl.uint32), eighth, k0, k1
                        )
                    else:
                        below = below_cut_everywhere(
                            rest, entry, low_cut, element, sample, high, block.to(tl.uint32), eighth, k0, k1
                        )
                    drawn = ((entry >> 6) & 1023).to(tl.int32)
                    drawn = tl.where(below != 0, drawn, drawn + ((entry & 63).to(tl.int32) - 32))
                    if COMPARED:
                        codes = codes + (drawn,)
                    else:
                        code += drawn
                if COMPARED:
                    code = vote(codes, READS, MIDDLE)
            total += code.to(total.dtype) * place
    index = (group * vectors + m)[:, None] * outputs + n[None, :]
    tl.store(sums + index, total, mask=(m < vectors)[:, None] & (n < outputs)[None, :])
