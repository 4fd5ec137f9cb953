"""Fetch codes from where they lie and write their planes."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def pack(
    source,
    starts,
    offsets,
    facts,
    packed,
    vectors,
    length,
    step,
    tiles,
    PLANES: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK_V: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    """Fetch the rows of a part of a tile for some vectors and write each of their planes."""
    parts: tl.constexpr = ROWS // BLOCK_K
    program = tl.program_id(0)
    part = program % parts
    program = program // parts
    tile = program % tiles
    program = program // tiles
    blocks = tl.cdiv(vectors, BLOCK_V)
    group = program // blocks
    vector = (program % blocks) * BLOCK_V + tl.arange(0, BLOCK_V)
    row = part * BLOCK_K + tl.arange(0, BLOCK_K)
    element = tile * step + row
    is_row = (row < step) & (element < length)
    is_vector = vector < vectors
    index = group.to(tl.int64) * vectors + vector
    start = tl.load(starts + index, mask=is_vector, other=0)
    offset = tl.load(offsets + element, mask=is_row, other=0)
    inside = is_vector[:, None] & is_row[None, :]
    code = tl.load(source + start[:, None] + offset[None, :], mask=inside, other=0.0).to(tl.int32)
    place = packed + (index * tiles + tile)[:, None] * (PLANES * ROWS) + row[None, :]
    for plane in range(PLANES):
        first = tl.load(facts + 2 * plane)
        mask = tl.load(facts + 2 * plane + 1)
        value = (code >> first) & mask
        tl.store(place + plane * ROWS, value.to(tl.int8), mask=is_vector[:, None])
