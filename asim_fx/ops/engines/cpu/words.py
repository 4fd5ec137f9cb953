"""Random words for many outputs at once; docs/numerics.md says which word is whose."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from asim_fx.ops.engines.cpu.compiled import compiled

Lanes = NDArray[np.uint32]


@compiled
def philox_block(
    element: Lanes, sample: Lanes, high: Lanes, block: np.uint32, k0: np.uint32, k1: np.uint32, words: Lanes
) -> None:
    """Write the four words of one block for each lane to ``words`` (4, lanes)."""
    for lane in range(element.shape[0]):
        c0, c1, c2, c3 = element[lane], sample[lane], np.uint32(block), high[lane]
        x0, x1 = np.uint32(k0), np.uint32(k1)
        for _ in range(7):
            low = np.uint64(c0) * np.uint64(0xD2511F53)
            top = np.uint64(c2) * np.uint64(0xCD9E8D57)
            c0 = np.uint32(top >> np.uint64(32)) ^ c1 ^ x0
            c2 = np.uint32(low >> np.uint64(32)) ^ c3 ^ x1
            c1 = np.uint32(top)
            c3 = np.uint32(low)
            x0 = np.uint32(x0 + np.uint32(0x9E3779B9))
            x1 = np.uint32(x1 + np.uint32(0xBB67AE85))
        words[0, lane] = c0
        words[1, lane] = c1
        words[2, lane] = c2
        words[3, lane] = c3


@compiled
def count_outputs(
    flat: NDArray[np.int64],
    offset: np.int64,
    span: np.int64,
    stride: np.int64,
    batch: np.int64,
    first_sample: np.int64,
    element: Lanes,
    sample: Lanes,
    high: Lanes,
) -> None:
    """Write the counters of the outputs ``flat + offset``; ``stride`` 0: the samples could not be followed.

    ``span`` is the distance from the first of ``flat``, the least, to the last: where all lie within one run of a
    sample, one division serves all. It is negative where the first is not the least.
    """
    if stride == 0:
        run, outer, inner = np.int64(0), np.int64(0), offset
        number = first_sample
        alike = True
    else:
        least = flat[0] + offset
        run = least // stride
        outer = run // batch
        number = run - outer * batch + first_sample
        inner = offset - run * stride + outer * stride
        alike = bool(span >= 0 and least - run * stride + span < stride)
    if alike:
        for lane in range(flat.shape[0]):
            index = flat[lane] + inner
            element[lane] = np.uint32(index)
            sample[lane] = np.uint32(number)
            high[lane] = np.uint32(((index >> 32) & 0xFFFF) | (((number >> 32) & 0x3FFF) << 16))
        return
    for lane in range(flat.shape[0]):
        index = flat[lane] + offset
        run = index // stride
        outer = run // batch
        number = run - outer * batch + first_sample
        index = outer * stride + (index - run * stride)
        element[lane] = np.uint32(index)
        sample[lane] = np.uint32(number)
        high[lane] = np.uint32(((index >> 32) & 0xFFFF) | (((number >> 32) & 0x3FFF) << 16))
