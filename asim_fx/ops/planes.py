"""Two's complement codes as planes: what one read applies to the rows, or stores in the cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from asim_fx.ops.config import OpConfig, Operand


@dataclass(frozen=True, slots=True)
class Plane:
    """Some neighbouring bits of a code.

    Attributes:
        first: lowest bit.
        width: number of bits.
        place: what one unit of the plane is worth in the code; negative for a sign bit.
        whole: whether the plane is the signed code itself (full weight-parallel).
        largest: largest magnitude that the plane can hold.
    """

    first: int
    width: int
    place: int
    largest: int
    whole: bool = False


def planes_of(operand: Operand, widths: Sequence[int]) -> tuple[Plane, ...]:
    """Return the planes of an operand from the LSB up, each ``widths`` bits wide."""
    planes = []
    first = 0
    for width in widths:
        sign = operand.signed and first == operand.bits - 1
        planes.append(Plane(first, width, -(2**first) if sign else 2**first, 2**width - 1))
        first += width
    return tuple(planes)


def operand_planes(config: OpConfig) -> tuple[tuple[Plane, ...], tuple[Plane, ...]]:
    """Return the streamed and the stored planes of an operation."""
    if config.read.parallel:
        return _whole(config.input), _whole(config.weight)
    return planes_of(config.input, config.plan.input_widths), planes_of(config.weight, (1,) * config.plan.weight_planes)


def _whole(operand: Operand) -> tuple[Plane, ...]:
    return (Plane(0, operand.bits, 1, operand.levels, whole=True),)


def extract(codes: Tensor, plane: Plane) -> Tensor:
    """Return one plane of int32 ``codes`` as float32 integers (the dtype that matrix multiplies are fast in)."""
    if plane.whole:
        return codes.to(torch.float32)
    bits: Tensor = (codes >> plane.first) & (2**plane.width - 1)
    return bits.to(torch.float32)


def partial_codes(codes: Tensor, planes: Sequence[Plane], chosen: Iterable[int]) -> Tensor:
    """Return the part of float32 ``codes`` that the chosen planes carry: the sum of place value times plane."""
    picked = tuple(chosen)
    if len(picked) == len(planes):
        return codes
    integers = codes.to(torch.int32)
    total = torch.zeros_like(codes)
    for index in picked:
        total.add_(extract(integers, planes[index]), alpha=planes[index].place)
    return total


def partial_largest(planes: Sequence[Plane], chosen: Iterable[int]) -> int:
    """Return a bound on the magnitude of ``partial_codes``."""
    return sum(abs(planes[index].place) * planes[index].largest for index in chosen)
