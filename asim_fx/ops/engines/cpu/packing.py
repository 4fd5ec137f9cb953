"""Codes as bits: 32 rows of one bit plane to a word, row tile by row tile."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from asim_fx.ops.engines.cpu.compiled import compiled

WORD_BITS = 32


def packed(codes: NDArray[np.float32], step: int, bits: int) -> NDArray[np.uint32]:
    """Return the bits of float32 integer ``codes`` (vectors, K) as (vectors, row tiles, bits, words of a tile)."""
    vectors, length = codes.shape
    words = np.empty((vectors, -(-length // step), bits, -(-min(step, length) // WORD_BITS)), np.uint32)
    _pack(codes, step, words)
    return words


@compiled
def _pack(codes: NDArray[np.float32], step: int, words: NDArray[np.uint32]) -> None:
    vectors, length = codes.shape
    rows = np.zeros(32, np.int32)
    for vector in range(vectors):
        for tile in range(words.shape[1]):
            for word in range(words.shape[3]):
                start = tile * step + word * 32
                count = min(32, min(length, (tile + 1) * step) - start)
                if count == 32:
                    for row in range(32):
                        rows[row] = np.int32(codes[vector, start + row])
                else:
                    for row in range(32):
                        rows[row] = np.int32(codes[vector, start + row]) if row < count else np.int32(0)
                for bit in range(words.shape[2]):
                    packed_rows = np.uint32(0)
                    for row in range(32):
                        packed_rows |= np.uint32((rows[row] >> np.int32(bit)) & np.int32(1)) << np.uint32(row)
                    words[vector, tile, bit, word] = packed_rows
