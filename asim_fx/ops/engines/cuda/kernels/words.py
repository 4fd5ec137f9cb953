"""Random words of reads, in the kernel: Philox4x32-7 and the halves of its blocks (docs/numerics.md)."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def philox_block(element, sample, block, high, k0, k1):
    """Return the four uint32 words of a block; all arguments are uint32."""
    c0, c1, c2, c3 = element, sample, block, high
    for _ in tl.static_range(7):
        # One 64-bit product gives both halves: a single instruction.
        low = c0.to(tl.uint64) * 0xD2511F53
        top = c2.to(tl.uint64) * 0xCD9E8D57
        c0 = (top >> 32).to(tl.uint32) ^ c1 ^ k0
        c2 = (low >> 32).to(tl.uint32) ^ c3 ^ k1
        c1 = top.to(tl.uint32)
        c3 = low.to(tl.uint32)
        k0 = k0 + 0x9E3779B9
        k1 = k1 + 0xBB67AE85
    return c0, c1, c2, c3


@triton.jit
def half_of(w0, w1, w2, w3, place):
    """Return the 16 bits of a block that belong to read ``place`` (a scalar, 0..7) of its eight."""
    which = place >> 1
    word = tl.where(which < 2, tl.where(which == 0, w0, w1), tl.where(which == 2, w2, w3))
    return (word >> ((place & 1) * 16).to(tl.uint32)) & 0xFFFF


@triton.jit
def fine_half(element, sample, block, high, place, k0, k1):
    """Return the low half of a read's word."""
    w0, w1, w2, w3 = philox_block(element, sample, block, high | 0x40000000, k0, k1)
    return half_of(w0, w1, w2, w3, place)


@triton.jit
def output_counters(flat, stride, batch, first_sample, WIDE: tl.constexpr):
    """Return (element, sample, high) of row-major indices ``flat``, uint32.

    Args:
        flat: int64.
        stride: of the samples in the result; 0 where they could not be followed.
        batch: samples of the result.
        first_sample: number of the first.
        WIDE: whether any index or sample number needs more than 31 bits; division of 64 bits takes long.
    """
    if not WIDE:
        flat = flat.to(tl.int32)
        stride = stride.to(tl.int32)
        batch = batch.to(tl.int32)
        first_sample = first_sample.to(tl.int32)
    if stride == 0:
        element = flat
        sample = tl.zeros_like(flat) + first_sample
    else:
        run = flat // stride
        outer = run // batch
        sample = run - outer * batch + first_sample
        element = outer * stride + (flat - run * stride)
    if WIDE:
        high = ((element >> 32) & 0xFFFF) | (((sample >> 32) & 0x3FFF) << 16)
    else:
        high = tl.zeros_like(element)
    return element.to(tl.uint32), sample.to(tl.uint32), high.to(tl.uint32)
