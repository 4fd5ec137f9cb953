"""Integers as planes: what one read applies to the rows, or finds in the cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from asim_fx.ops.config import Operand


@dataclass(frozen=True, slots=True)
class Plane:
    """Some neighbouring bits of an integer, or the difference of two such runs.

    Attributes:
        first: lowest bit.
        width: number of bits; 0: nothing that is stored, but 1 wherever there is a code.
        place: what one unit of the plane is worth in the code; negative for a sign bit.
        largest: largest magnitude that the plane can hold.
        whole: whether the plane is the signed code itself (full weight-parallel).
        minus: lowest bit of as many others that are subtracted; None where nothing is.
    """

    first: int
    width: int
    place: int
    largest: int
    whole: bool = False
    minus: int | None = None


def planes_of(operand: Operand, widths: Sequence[int]) -> tuple[Plane, ...]:
    """Return the planes of an operand in two's complement from the LSB up, each ``widths`` bits wide."""
    planes = []
    first = 0
    for width in widths:
        sign = operand.signed and first == operand.bits - 1
        planes.append(Plane(first, width, -(2**first) if sign else 2**first, 2**width - 1))
        first += width
    return tuple(planes)


def whole_plane(operand: Operand) -> Plane:
    """Return an operand in two's complement as one plane."""
    return Plane(0, operand.bits, 1, operand.levels, whole=True)


def extract(codes: Tensor, plane: Plane) -> Tensor:
    """Return one plane of int32 ``codes`` as float32 integers (the dtype that matrix multiplies are fast in)."""
    if plane.whole:
        return codes.to(torch.float32)
    if not plane.width:
        return torch.ones_like(codes, dtype=torch.float32)
    mask = 2**plane.width - 1
    bits: Tensor = (codes >> plane.first) & mask
    if plane.minus is not None:
        bits = bits - ((codes >> plane.minus) & mask)
    return bits.to(torch.float32)


def partial_codes(codes: Tensor, planes: Sequence[Plane], chosen: Iterable[int]) -> Tensor:
    """Return the part of ``codes`` that the chosen planes carry, float32: the sum of place value times plane."""
    picked = tuple(chosen)
    if len(picked) == len(planes) and all(_is_in_place(plane) for plane in planes):
        return codes
    integers = codes.to(torch.int32)
    parts = [planes[index] for index in picked]
    if all(_is_in_place(part) and not part.whole for part in parts):
        # The sign's place and all above it hold the sign, so that a mask is enough.
        mask = sum(_mask(part) for part in parts)
        return torch.bitwise_and(integers, mask).to(torch.float32)
    total = torch.zeros_like(codes, dtype=torch.float32)
    for part in parts:
        total.add_(extract(integers, part), alpha=part.place)
    return total


def _mask(plane: Plane) -> int:
    return -(1 << plane.first) if plane.place < 0 else ((1 << plane.width) - 1) << plane.first


def _is_in_place(plane: Plane) -> bool:
    """Whether a plane's bits lie where two's complement has them: all such planes together are the code."""
    return plane.whole or (plane.width > 0 and plane.minus is None and abs(plane.place) == 2**plane.first)


def partial_largest(planes: Sequence[Plane], chosen: Iterable[int]) -> int:
    """Return a bound on the magnitude of ``partial_codes``."""
    return sum(abs(planes[index].place) * planes[index].largest for index in chosen)


def partial_range(planes: Sequence[Plane], chosen: Iterable[int]) -> tuple[int, int]:
    """Return bounds on ``partial_codes``: nothing is below the first or above the second."""
    low = high = 0
    for index in chosen:
        plane = planes[index]
        largest = plane.place * plane.largest
        both = plane.whole or plane.minus is not None
        low += -abs(largest) if both else min(0, largest)
        high += abs(largest) if both else max(0, largest)
    return low, high
