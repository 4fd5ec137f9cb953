"""Codes as bits: 32 rows of one bit plane to a word, row tile by row tile."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asim_fx.ops.engines.cpu.compiled import compiled

WORD_BITS = 32


def packed(
    source: NDArray[np.int16], starts: NDArray[np.int64], offsets: NDArray[np.int64], step: int, bits: int
) -> NDArray[np.uint32]:
    """Return bits of integer codes as (vectors, row tiles, bits, words of a tile).

    Args:
        source: codes, flat, as ``as_int16`` returns them.
        starts: where each vector begins in ``source``.
        offsets: where each of its K elements lies from there.
        step: rows of a tile.
        bits: of a code, in two's complement; at most 16.
    """
    length = offsets.shape[0]
    words = np.zeros((starts.shape[0], -(-length // step), bits, -(-min(step, length) // WORD_BITS)), np.uint32)
    # Unsigned: numba asks of every other index whether it counts from the end.
    _pack(source, starts.view(np.uint64), offsets.view(np.uint64), step, words)
    return words


def as_int16(codes: Tensor) -> NDArray[np.int16]:
    """Return float32 codes of at most 16 bits as int16; those without sign wrap around."""
    short: NDArray[np.int16] = codes.to(torch.int32).to(torch.int16).numpy()
    return short


@compiled
def _pack(
    source: NDArray[np.int16],
    starts: NDArray[np.uint64],
    offsets: NDArray[np.uint64],
    step: int,
    words: NDArray[np.uint32],
) -> None:
    length = offsets.shape[0]
    bits = words.shape[2]
    wide = words.shape[3] * 32
    low = np.zeros(wide, np.uint8)
    high = np.zeros(wide, np.uint8)
    low_eights = low.view(np.uint64)
    high_eights = high.view(np.uint64)
    eights_of_word = words.view(np.uint8)
    for vector in range(starts.shape[0]):
        start = starts[vector]
        for tile in range(words.shape[1]):
            first = tile * step
            rows = min(step, length - first)
            used = -(-rows // 8)
            for row in range(rows, 8 * used):
                low[row] = np.uint8(0)
                high[row] = np.uint8(0)
            for row in range(rows):
                low[row] = np.uint8(source[start + offsets[np.uint64(first + row)]])
            _transpose(low_eights, used)
            if bits > 8:
                for row in range(rows):
                    high[row] = np.uint8(source[start + offsets[np.uint64(first + row)]] >> 8)
                _transpose(high_eights, used)
            for bit in range(bits):
                eights = low if bit < 8 else high
                for eight in range(used):
                    eights_of_word[vector, tile, bit, eight] = eights[8 * eight + (bit & 7)]


@compiled
def _transpose(eights: NDArray[np.uint64], used: int) -> None:
    """Turn eight bytes into eight bytes of one bit of each: bits, pairs and fours change places across the diagonal."""
    for n in range(used):
        x = eights[n]
        swap = (x ^ (x >> np.uint64(7))) & np.uint64(0x00AA00AA00AA00AA)
        x ^= swap ^ (swap << np.uint64(7))
        swap = (x ^ (x >> np.uint64(14))) & np.uint64(0x0000CCCC0000CCCC)
        x ^= swap ^ (swap << np.uint64(14))
        swap = (x ^ (x >> np.uint64(28))) & np.uint64(0x00000000F0F0F0F0)
        eights[n] = x ^ swap ^ (swap << np.uint64(28))


@compiled
def gathered(
    source: NDArray[np.float32], starts: NDArray[np.int64], offsets: NDArray[np.int64], vectors: NDArray[np.float32]
) -> None:
    """Write the vectors (count, K) themselves; arguments as in ``packed``."""
    for vector in range(starts.shape[0]):
        start = starts[vector]
        for row in range(offsets.shape[0]):
            vectors[vector, row] = source[start + offsets[row]]
