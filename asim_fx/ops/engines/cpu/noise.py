"""Noise for what the kernel of whole operations does not cover: the plain engine runs, and draws here."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asim_fx.ops.codes import Columns, before_noise, digitise, table_of
from asim_fx.ops.config import OpConfig
from asim_fx.ops.draws import FINE_DOMAIN, READS_PER_BLOCK, Seed
from asim_fx.ops.engines.cpu.compiled import compiled, leading_zeros, left, right
from asim_fx.ops.engines.cpu.words import count_outputs, philox_block
from asim_fx.ops.engines.plain import ConvertNoisy
from asim_fx.ops.normal import FIXED_POINT, FRACTION_BITS, normal_points

_AT_ONCE = 512
"""Outputs whose words are made together: they stay in the processor's first-level cache."""

U32 = NDArray[np.uint32]


def draw_compiled(flat: Tensor, numel: int, config: OpConfig, seed: Seed) -> Callable[[Sequence[int]], ConvertNoisy]:
    """Draw the noise that ``plain.draw_plainly`` draws, to the bit, by compiled code."""
    shape = flat.shape
    counters = np.empty((3, flat.numel()), np.uint32)
    stride, batch = (config.layout.stride, numel // config.layout.elements) if config.layout else (0, 1)
    _count_rows(flat.reshape(-1, shape[-1]).numpy(), np.array([stride, batch, seed.first_sample]), counters)
    key = np.array(seed.key(config.stream), np.uint32)
    heights, falls = (points.numpy() for points in normal_points("cpu"))

    def convert_noisy(mac: Tensor, full: int, read: int, columns: Columns | None) -> Tensor:
        table = table_of(mac, config.read, full, columns)
        if table is not None:
            words = np.empty(counters.shape[1], np.int64)
            _draw_words(counters, read, key, words)
            return table.draw(mac, torch.from_numpy(words).view(shape))
        value, sigma = before_noise(mac, config.read, full, columns)
        if sigma is not None:
            value = value.expand(shape).contiguous()
            spread = sigma.expand(shape).contiguous().view(-1)
            noisy = torch.empty(shape)
            _add_noise(
                value.view(-1).numpy(), spread.numpy(), counters, read, key, heights, falls, noisy.view(-1).numpy()
            )
            value = noisy
        return digitise(value, config.read)

    return lambda reads: convert_noisy


@compiled
def _count_rows(flat: NDArray[np.int64], sizes: NDArray[np.int64], counters: U32) -> None:
    """Write the counters of outputs; indices rise evenly along a row. ``sizes``: stride, batch, first sample."""
    width = flat.shape[1]
    for row in range(flat.shape[0]):
        place = slice(row * width, (row + 1) * width)
        span = flat[row, width - 1] - flat[row, 0]
        count_outputs(flat[row], np.int64(0), span, sizes[0], sizes[1], sizes[2], counters[:, place])


@compiled
def _draw_words(counters: U32, read: int, key: U32, words: NDArray[np.int64]) -> None:
    """Write the word of one read for each output, as ``draws.read_words`` returns it."""
    coarse = np.zeros((4, _AT_ONCE), np.uint32)
    fine = np.zeros((4, _AT_ONCE), np.uint32)
    found = np.zeros(_AT_ONCE, np.uint32)
    for start in range(0, counters.shape[1], _AT_ONCE):
        used = min(_AT_ONCE, counters.shape[1] - start)
        _words_of(counters, start, used, read, key, coarse, fine, found)
        for n in range(used):
            words[start + n] = np.int64(found[n])


@compiled
def _add_noise(
    value: NDArray[np.float32],
    sigma: NDArray[np.float32],
    counters: U32,
    read: int,
    key: U32,
    heights: NDArray[np.int64],
    falls: NDArray[np.int64],
    noisy: NDArray[np.float32],
) -> None:
    """Write ``value`` plus ``sigma`` times a normal number: what ``normal`` makes of the words, in the same steps."""
    coarse = np.zeros((4, _AT_ONCE), np.uint32)
    fine = np.zeros((4, _AT_ONCE), np.uint32)
    words = np.zeros(_AT_ONCE, np.uint32)
    scale = np.float32(2.0**-FIXED_POINT)
    for start in range(0, counters.shape[1], _AT_ONCE):
        used = min(_AT_ONCE, counters.shape[1] - start)
        _words_of(counters, start, used, read, key, coarse, fine, words)
        for n in range(used):
            odd = left(words[n], np.uint32(1)) | np.uint32(1)
            zeros = leading_zeros(odd)
            # Below the leading one: first the point within the octave, then the fraction between two points.
            below = left(left(odd, zeros), np.uint32(1))
            octave = np.int64(31) - np.int64(zeros)
            segment = (octave << (32 - FRACTION_BITS)) | np.int64(right(below, np.uint32(FRACTION_BITS)))
            fraction = np.int64(below & np.uint32(2**FRACTION_BITS - 1))
            magnitude = heights[segment] - ((falls[segment] * fraction) >> FRACTION_BITS)
            signed = -magnitude if words[n] >= np.uint32(0x80000000) else magnitude
            noise = np.float32(np.float32(signed) * scale)
            noisy[start + n] = value[start + n] + np.float32(sigma[start + n] * noise)


@compiled
def _words_of(counters: U32, start: int, used: int, read: int, key: U32, coarse: U32, fine: U32, words: U32) -> None:
    element = counters[0, start : start + used]
    sample = counters[1, start : start + used]
    high = counters[2, start : start + used]
    block = np.uint32(read // READS_PER_BLOCK)
    philox_block(element, sample, high, block, key[0], key[1], coarse)
    philox_block(element, sample, high | np.uint32(FINE_DOMAIN), block, key[0], key[1], fine)
    place = read % READS_PER_BLOCK
    shift = np.uint32(16 * (place % 2))
    word = place // 2
    for n in range(used):
        upper = right(coarse[word, n], shift) & np.uint32(0xFFFF)
        words[n] = left(upper, np.uint32(16)) | (right(fine[word, n], shift) & np.uint32(0xFFFF))
