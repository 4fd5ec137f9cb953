"""Random words of many outputs at once; docs/numerics.md says which word is whose."""

from __future__ import annotations

from typing import Any

import numpy as np

from asim_fx.ops.engines.cpu.compiled import compiled
from asim_fx.ops.engines.cpu.lanes import I64, LARGE_VECTOR, U32, VECTOR, Row, constant, on_lanes
from asim_fx.ops.philox import KEY_STEPS, MULTIPLIERS, ROUNDS

ELEMENT, SAMPLE, HIGH = range(3)
"""Rows of the counters of the lanes."""
_WORD = 2**32 - 1
_FINE = np.uint32(0x40000000)
"""The bit that tells the block of low halves; see asim_fx.ops.draws."""


def _philox(
    builder: Any,
    element: Row,
    sample: Row,
    high: Row,
    block: Any,
    k0: Any,
    k1: Any,
    first: Row,
    second: Row,
    third: Row,
    fourth: Row,
) -> None:
    """Write four words; in 64 bits for every other lane, for that is what the multiplication is made for."""

    def halves(vector: Any) -> tuple[Any, Any]:
        wide = builder.bitcast(vector, LARGE_VECTOR)
        return builder.and_(wide, constant(_WORD, LARGE_VECTOR)), builder.lshr(wide, constant(32, LARGE_VECTOR))

    def times(wide: Any, factor: int) -> Any:
        return builder.mul(builder.and_(wide, constant(_WORD, LARGE_VECTOR)), constant(factor, LARGE_VECTOR))

    counters = [halves(row) for row in (element.load(), sample.load(), block, high.load())]
    keys = [halves(key) for key in (k0, k1)]
    outcomes = []
    for half in range(2):
        c0, c1, c2, c3 = (counter[half] for counter in counters)
        x0, x1 = (key[half] for key in keys)
        for _ in range(ROUNDS):
            low, top = times(c0, MULTIPLIERS[0]), times(c2, MULTIPLIERS[1])
            c0 = builder.xor(builder.xor(builder.lshr(top, constant(32, LARGE_VECTOR)), c1), x0)
            c2 = builder.xor(builder.xor(builder.lshr(low, constant(32, LARGE_VECTOR)), c3), x1)
            # Products keep their upper half: only the lower one of any of these matters.
            c1, c3 = top, low
            x0 = builder.add(x0, constant(KEY_STEPS[0], LARGE_VECTOR))
            x1 = builder.add(x1, constant(KEY_STEPS[1], LARGE_VECTOR))
        outcomes.append((c0, c1, c2, c3))
    for row, even, odd in zip((first, second, third, fourth), *outcomes, strict=True):
        both = builder.or_(
            builder.and_(even, constant(_WORD, LARGE_VECTOR)), builder.shl(odd, constant(32, LARGE_VECTOR))
        )
        row.store(builder.bitcast(both, VECTOR))


philox_lanes = on_lanes(_philox)
"""Write the four words of one block for each lane: its counters, the number of the block, the key, the words."""


@compiled
def philox_block(
    element: U32, sample: U32, high: U32, block: np.uint32, k0: np.uint32, k1: np.uint32, words: U32
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
def philox_fine(outputs: U32, lane: int, block: np.uint32, k0: np.uint32, k1: np.uint32, word: int) -> np.uint32:
    """Return one word of the block of low halves for one lane."""
    c0, c1 = outputs[ELEMENT, lane], outputs[SAMPLE, lane]
    c2, c3 = np.uint32(block), np.uint32(outputs[HIGH, lane] | _FINE)
    for _ in range(ROUNDS):
        low = np.uint64(c0) * np.uint64(MULTIPLIERS[0])
        top = np.uint64(c2) * np.uint64(MULTIPLIERS[1])
        c0 = np.uint32(np.uint32(top >> np.uint64(32)) ^ c1 ^ k0)
        c2 = np.uint32(np.uint32(low >> np.uint64(32)) ^ c3 ^ k1)
        c1 = np.uint32(top)
        c3 = np.uint32(low)
        k0 = np.uint32(k0 + np.uint32(KEY_STEPS[0]))
        k1 = np.uint32(k1 + np.uint32(KEY_STEPS[1]))
    chosen: np.uint32 = c0
    if word == 1:
        chosen = c1
    elif word == 2:
        chosen = c2
    elif word == 3:
        chosen = c3
    return chosen


@compiled
def count_outputs(
    flat: I64, offset: np.int64, span: np.int64, stride: np.int64, batch: np.int64, first_sample: np.int64, outputs: U32
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
            outputs[ELEMENT, lane] = np.uint32(index)
            outputs[SAMPLE, lane] = np.uint32(number)
            outputs[HIGH, lane] = np.uint32(((index >> 32) & 0xFFFF) | (((number >> 32) & 0x3FFF) << 16))
        return
    for lane in range(flat.shape[0]):
        index = flat[lane] + offset
        run = index // stride
        outer = run // batch
        number = run - outer * batch + first_sample
        index = outer * stride + (index - run * stride)
        outputs[ELEMENT, lane] = np.uint32(index)
        outputs[SAMPLE, lane] = np.uint32(number)
        outputs[HIGH, lane] = np.uint32(((index >> 32) & 0xFFFF) | (((number >> 32) & 0x3FFF) << 16))
