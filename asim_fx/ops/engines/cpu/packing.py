"""Codes as bits: 32 rows of one bit plane to a word, row tile by row tile."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from asim_fx.ops.engines.cpu.compiled import compiled

WORD_BITS = 32


def packed(
    source: NDArray[np.float32], starts: NDArray[np.int64], offsets: NDArray[np.int64], step: int, bits: int
) -> NDArray[np.uint32]:
    """Return bits of integer codes as (vectors, row tiles, bits, words of a tile).

    Args:
        source: float32 codes, flat.
        starts: where each vector begins in ``source``.
        offsets: where each of its K elements lies from there.
        step: rows of a tile.
        bits: of a code, in two's complement; at most 16.
    """
    length = offsets.shape[0]
    words = np.zeros((starts.shape[0], -(-length // step), bits, -(-min(step, length) // WORD_BITS)), np.uint32)
    _pack(source, starts, offsets, step, words)
    return words


@compiled
def _pack(
    source: NDArray[np.float32],
    starts: NDArray[np.int64],
    offsets: NDArray[np.int64],
    step: int,
    words: NDArray[np.uint32],
) -> None:
    length = offsets.shape[0]
    bits = words.shape[2]
    wide = words.shape[3] * 32
    codes = np.zeros(wide, np.int32)
    low = np.zeros(wide, np.uint8)
    high = np.zeros(wide, np.uint8)
    low_eights = low.view(np.uint64)
    high_eights = high.view(np.uint64)
    # Eight bytes at once: one bit of each, gathered into the top byte by a multiplication.
    ones = np.uint64(0x0101010101010101)
    gather = np.uint64(0x0102040810204080)
    for vector in range(starts.shape[0]):
        start = starts[vector]
        for tile in range(words.shape[1]):
            first = tile * step
            rows = min(step, length - first)
            for row in range(rows):
                codes[row] = np.int32(source[start + offsets[first + row]])
            for row in range(rows, wide):
                codes[row] = np.int32(0)
            for row in range(wide):
                low[row] = np.uint8(codes[row])
            if bits > 8:
                for row in range(wide):
                    high[row] = np.uint8(codes[row] >> np.int32(8))
            for bit in range(bits):
                eights = low_eights if bit < 8 else high_eights
                shift = np.uint64(bit & 7)
                for word in range(words.shape[3]):
                    packed_rows = np.uint64(0)
                    for eight in range(4):
                        chosen = (eights[word * 4 + eight] >> shift) & ones
                        packed_rows |= ((chosen * gather) >> np.uint64(56)) << np.uint64(8 * eight)
                    words[vector, tile, bit, word] = np.uint32(packed_rows)


@compiled
def gathered(
    source: NDArray[np.float32], starts: NDArray[np.int64], offsets: NDArray[np.int64], vectors: NDArray[np.float32]
) -> None:
    """Write the vectors (count, K) themselves; arguments as in ``packed``."""
    for vector in range(starts.shape[0]):
        start = starts[vector]
        for row in range(offsets.shape[0]):
            vectors[vector, row] = source[start + offsets[row]]
