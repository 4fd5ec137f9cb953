"""The stored operand as cells hold it: its codes in another encoding, cut into the digits of one cell each.

Two's complement stays as the codes themselves. Other encodings become words: non-negative integers of which every cell
holds some neighbouring bits. docs/numerics.md, "Encodings of the stored operand".
"""

from __future__ import annotations

import torch
from torch import Tensor

from asim_fx.ops.config import OpConfig, Operand
from asim_fx.ops.planes import Plane, planes_of, whole_plane

_FLOAT32_BITS = 24


def cell_planes(config: OpConfig) -> tuple[Plane, ...]:
    """Return what each cell of one stored code holds, from the LSB up; of two columns the positive one first."""
    stored, operand = config.stored, config.weight
    widths = stored.widths(operand.bits, signed=operand.signed)
    if stored.encoding == "twos-complement":
        return planes_of(operand, widths)
    digits = planes_of(Operand(operand.bits, signed=False), widths)
    if not stored.differential:
        return digits
    negative = _part_bits(operand)
    return tuple(
        Plane(digit.first + start, digit.width, sign * digit.place, digit.largest)
        for digit in digits
        for start, sign in ((0, 1), (negative, -1))
    )


def stored_planes(config: OpConfig) -> tuple[Plane, ...]:
    """Return what is read apart: a cell, the difference of two, or with ``weights: parallel`` the whole code.

    The last plane of a signed operand in offset binary is no cell: it takes half the range away again, in digital
    logic, and is never in a bit plan.
    """
    stored, operand = config.stored, config.weight
    if config.read.parallel:
        if stored.differential:
            bits = _part_bits(operand)
            return (Plane(0, bits, 1, 2**bits - 1, minus=bits),)
        return (whole_plane(operand),)
    cells = cell_planes(config)
    if stored.subtracts:
        return tuple(
            Plane(plus.first, plus.width, plus.place, plus.largest, minus=minus.first)
            for plus, minus in zip(cells[::2], cells[1::2], strict=True)
        )
    if stored.encoding == "offset" and operand.signed:
        return (*cells, Plane(0, 0, -_offset(operand), 1))
    return cells


def word_bits(config: OpConfig) -> int:
    """Return the bits of what is held for one code."""
    return sum(cell.width for cell in cell_planes(config))


def holds_codes(config: OpConfig) -> bool:
    """Whether cells hold the codes as they are."""
    stored = config.stored
    return stored.encoding == "twos-complement" or (stored.encoding == "offset" and not config.weight.signed)


def words_of(codes: Tensor, config: OpConfig) -> Tensor:
    """Return the bits of all cells of each code as one non-negative int64."""
    operand, integers = config.weight, codes.to(torch.int64)
    if config.stored.differential:
        return integers.clamp(min=0) | ((-integers).clamp(min=0) << _part_bits(operand))
    if holds_codes(config):
        return integers & ((1 << operand.bits) - 1)
    return integers + _offset(operand)


def held(words: Tensor, config: OpConfig) -> Tensor:
    """Return words as engines take them: floating point, and codes where cells hold codes."""
    operand = config.weight
    if holds_codes(config) and operand.signed:
        words = words - (words >> (operand.bits - 1) << operand.bits)
    return words.to(torch.float32 if word_bits(config) <= _FLOAT32_BITS else torch.float64)


def _part_bits(operand: Operand) -> int:
    """Return the bits of the positive, and of the negative part of a code."""
    return operand.bits - 1 if operand.signed else operand.bits


def _offset(operand: Operand) -> int:
    return 1 << (operand.bits - 1)
