"""Exact parts of an operation: one integer product of whole vectors for each, in bytes where that is faster."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from asim_fx.ops.exact import byte_matmul, float32_holds, has_byte_products, integer_matmul
from asim_fx.ops.planes import Plane, partial_codes, partial_largest, partial_range
from asim_fx.ops.schedule import ExactPart, Schedule

_LONGEST = 2**17
"""Products of two bytes that a 32-bit sum holds for certain."""


@dataclass(frozen=True, slots=True)
class StoredProduct:
    """The stored side of an exact part, made once for all vectors.

    Attributes:
        part: what it is of.
        stored: what its stored planes carry, float32 (groups, K, N), or (groups, K, 1) where all outputs have the same.
        column: bound on the sum of magnitudes of a column.
        stored_bytes: the same as int8 in units of ``factor``; None where it does not fit, or would be no faster.
        factor: place of its lowest plane.
    """

    part: ExactPart
    stored: Tensor
    column: int
    stored_bytes: Tensor | None
    factor: int


def stored_product(part: ExactPart, stored: Tensor, work: Schedule) -> StoredProduct:
    """Return the stored side of an exact part of float32 codes or words (groups, K, N)."""
    if not any(work.stored[i].width for i in part.stored):
        stored = stored[..., :1]
    chosen = partial_codes(stored, work.stored, part.stored)
    factor = _lowest_place(work.stored, part.stored)
    fast = has_byte_products(stored.device) and stored.shape[1] < _LONGEST and stored.numel() > 0
    small = fast and _fits_bytes(work.stored, part.stored) and _fits_bytes(work.streamed, part.streamed)
    in_bytes = _as_bytes(chosen, factor) if small else None
    return StoredProduct(part, chosen, largest_column(chosen, part, work), in_bytes, factor)


def exact_product(product: StoredProduct, vectors: Tensor, work: Schedule) -> Tensor:
    """Return the integers that an exact part adds to each output of float32 vectors (groups, M, K)."""
    streamed = product.part.streamed
    left = partial_codes(vectors, work.streamed, streamed)
    if product.stored_bytes is not None:
        factor = _lowest_place(work.streamed, streamed)
        integers = byte_matmul(_as_bytes(left, factor), product.stored_bytes)
        return integers.to(torch.float64) * (factor * product.factor)
    largest = partial_largest(work.streamed, streamed)
    term = largest * partial_largest(work.stored, product.part.stored)
    return integer_matmul(left, product.stored, term, largest_sum=largest * product.column)


def largest_column(stored: Tensor, part: ExactPart, work: Schedule) -> int:
    """Return a bound on the sum of magnitudes of a column of a part's stored side.

    What the columns hold bounds sums far more closely than the largest code does; asked only where it matters.
    """
    largest = stored.shape[-2] * partial_largest(work.stored, part.stored)
    if not stored.numel() or float32_holds(largest * partial_largest(work.streamed, part.streamed)):
        return largest
    exact = torch.float32 if float32_holds(largest) else torch.float64
    return int(stored.abs().sum(dim=-2, dtype=exact).max())


def _fits_bytes(planes: Sequence[Plane], chosen: Iterable[int]) -> bool:
    """Return whether what planes carry fits int8, in units of the lowest place."""
    picked = tuple(chosen)
    low, high = partial_range(planes, picked)
    factor = _lowest_place(planes, picked)
    return low >= -128 * factor and high <= 127 * factor


def _as_bytes(integers: Tensor, factor: int) -> Tensor:
    return (integers if factor == 1 else integers / factor).to(torch.int8)


def _lowest_place(planes: Sequence[Plane], chosen: Iterable[int]) -> int:
    """Return the place that divides all others: they are powers of two."""
    return min(abs(planes[index].place) for index in chosen)
