"""The kernel: sums of row tiles on tensor cores, drawn, converted and added up in registers."""

from __future__ import annotations

import triton
import triton.language as tl

from asim_fx.ops.engines.cuda.kernels.drawing import draw, look_up
from asim_fx.ops.engines.cuda.kernels.votes import vote
from asim_fx.ops.engines.cuda.kernels.words import half_of, output_counters, philox_block

_SIZES = ["vectors", "outputs", "runs", "output_flat", "stride", "batch", "first_sample", "k0", "k1"]
"""Arguments whose values are not compiled into the kernel."""


@triton.jit
def tile_sums(x_rows, w_rows, ROWS: tl.constexpr, BLOCK_K: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr):
    """Return the MAC values of one row tile, one streamed and one stored plane: int32, exact."""
    mac = tl.zeros((BLOCK_M, BLOCK_N), tl.int32)
    for start in range(0, ROWS, BLOCK_K):
        mac = tl.dot(tl.load(x_rows + start), tl.load(w_rows + start), mac, out_dtype=tl.int32)
    return mac


@triton.jit(do_not_specialize=_SIZES)
def read_tiles(
    streamed,
    stored,
    run_starts,
    reads,
    entries,
    low_cuts,
    vector_flat,
    sums,
    vectors,
    outputs,
    x_stride,
    w_stride,
    runs,
    output_flat: tl.int64,
    stride: tl.int64,
    batch: tl.int64,
    first_sample: tl.int64,
    k0: tl.int64,
    k1: tl.int64,
    ROWS: tl.constexpr,
    COLUMN_BITS: tl.constexpr,
    MULTIPLIER: tl.constexpr,
    VOTES: tl.constexpr,
    MIDDLE: tl.constexpr,
    LONG: tl.constexpr,
    WIDE: tl.constexpr,
    BRANCHES: tl.constexpr,
    BLOCK_K: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_M: tl.constexpr,
):
    """Make all reads of a block of outputs and write the sum of places times codes.

    Reads come in runs that share blocks of random words, so that these are made once and live no longer.

    Args:
        streamed: int8 (groups, vectors, planes of all tiles, ROWS).
        stored: int8 (groups, outputs, planes of all tiles, ROWS).
        run_starts: int32 (runs + 1, 2): first read of the run, number of its first block of words.
        reads: int32 (reads, 4): where the streamed and the stored plane of the tile are, place, and position of the
            (first) read behind the start of the run's first block.
        entries: int32, the bits of the table; see ``ReadTable``.
        low_cuts: int32, of the table.
        vector_flat: int64 (groups, vectors), what vectors add to the row-major index in the result.
        sums: (groups, vectors, outputs), int64 where LONG, else int32.
        vectors: of each group.
        outputs: of each group.
        x_stride: bytes of a streamed vector.
        w_stride: bytes of a stored vector.
        runs: number of runs.
        output_flat: step of an output in the row-major index.
        stride: of the samples in the result; 0: not followed.
        batch: samples of the result.
        first_sample: number of the first.
        k0: key of the site, low word.
        k1: high word.
        ROWS: bytes of a plane.
        COLUMN_BITS: of the table; 0 without noise.
        MULTIPLIER: see ``ReadTable``.
        VOTES: reads that are compared with one another to give one code (mode, median); 1 where reads are added up.
        MIDDLE: see ``vote``.
        LONG: whether sums need 64 bits.
        WIDE: whether row-major indices or sample numbers need more than 31 bits.
        BRANCHES: whether a thread can decide on its own (not in Triton's interpreter).
        BLOCK_K: rows taken at a time.
        BLOCK_N: stored vectors of a program.
        BLOCK_M: streamed vectors of a program.
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
    x_rows = streamed + (m_row * x_stride)[:, None] + k[None, :]
    w_rows = stored + (n_row * w_stride)[None, :] + k[:, None]
    if COLUMN_BITS > 0:
        flat = tl.load(vector_flat + m_row)[:, None] + (n * output_flat)[None, :]
        # Added to a product, the index has the layout of a product, and so has all that is made of it.
        nothing = tl.dot(tl.zeros((BLOCK_M, 32), tl.int8), tl.zeros((32, BLOCK_N), tl.int8), out_dtype=tl.int32)
        flat += nothing
        element, sample, high = output_counters(flat, stride, batch, first_sample, WIDE)
        k0 = k0.to(tl.uint32)
        k1 = k1.to(tl.uint32)

    total = tl.zeros((BLOCK_M, BLOCK_N), tl.int64 if LONG else tl.int32)
    for run in range(runs):
        start = tl.load(run_starts + 2 * run)
        end = tl.load(run_starts + 2 * run + 2)
        if COLUMN_BITS > 0:
            block = tl.load(run_starts + 2 * run + 1).to(tl.uint32)
            w0, w1, w2, w3 = philox_block(element, sample, block, high, k0, k1)
        for read in range(start, end):
            x_at = tl.load(reads + 4 * read) * ROWS
            w_at = tl.load(reads + 4 * read + 1) * ROWS
            place = tl.load(reads + 4 * read + 2)
            mac = tile_sums(x_rows + x_at, w_rows + w_at, ROWS, BLOCK_K, BLOCK_M, BLOCK_N)
            if COLUMN_BITS == 0:
                code = look_up(entries, mac, MULTIPLIER, BRANCHES)
            else:
                eighth = tl.load(reads + 4 * read + 3)
                if VOTES == 1:
                    half = half_of(w0, w1, w2, w3, eighth)
                    code = draw(
                        entries,
                        low_cuts,
                        mac,
                        half,
                        element,
                        sample,
                        high,
                        block,
                        eighth,
                        k0,
                        k1,
                        COLUMN_BITS,
                        BRANCHES,
                    )
                else:
                    codes = ()
                    for again in tl.static_range(VOTES):
                        number = eighth + again
                        half = half_of(w0, w1, w2, w3, number & 7)
                        for more in tl.static_range(1, (VOTES + 6) // 8 + 1):
                            v0, v1, v2, v3 = philox_block(element, sample, block + more, high, k0, k1)
                            half = tl.where(number >> 3 == more, half_of(v0, v1, v2, v3, number & 7), half)
                        later = block + (number >> 3).to(tl.uint32)
                        drawn = draw(
                            entries,
                            low_cuts,
                            mac,
                            half,
                            element,
                            sample,
                            high,
                            later,
                            number & 7,
                            k0,
                            k1,
                            COLUMN_BITS,
                            BRANCHES,
                        )
                        codes = codes + (drawn,)
                    code = vote(codes, VOTES, MIDDLE)
            total += code.to(total.dtype) * place
    index = (group * vectors + m)[:, None] * outputs + n[None, :]
    tl.store(sums + index, total, mask=(m < vectors)[:, None] & (n < outputs)[None, :])
