"""How the codes of a stored operand lie in cells: as what numbers, how many bits to a cell, how many columns.

Free of tensors: passes and costs count columns by it, engines cut codes by it (``ops/cells.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from asim_fx.ir import BitPlan, SitePlan, input_plane_widths

WeightEncoding = Literal["twos-complement", "offset", "differential"]
Subtraction = Literal["digital", "analog"]


@dataclass(frozen=True, slots=True)
class CellLayout:
    """How one stored code becomes digits in cells, one cell to a column.

    Attributes:
        encoding: ``twos-complement``; ``offset``: the code plus half its range, never negative; ``differential``: the
            positive and the negative part, of which at least one is 0, in columns of their own.
        cell_bits: bits that one cell holds, grouped from the LSB up; the top cell of a code may hold fewer, and the
            sign of two's complement always has a cell of one bit.
        subtract: where the two columns of ``differential`` become one number: ``digital``, after a conversion of each,
            or ``analog``, before their one conversion.
    """

    encoding: WeightEncoding = "twos-complement"
    cell_bits: int = 1
    subtract: Subtraction = "digital"

    def widths(self, bits: int, *, signed: bool) -> tuple[int, ...]:
        """Return the bits of each digit from the LSB up; of ``differential`` those of either part."""
        if self.encoding == "twos-complement":
            return input_plane_widths(bits, signed=signed, encoding=self.cell_bits)
        held = bits - 1 if signed and self.differential else bits
        return input_plane_widths(held, signed=False, encoding=self.cell_bits)

    def columns(self, bits: int, *, signed: bool) -> int:
        """Return the physical columns of one output."""
        return len(self.widths(bits, signed=signed)) * (2 if self.differential else 1)

    def bit_plan(self, bits: int, input_widths: tuple[int, ...], *, signed: bool) -> BitPlan:
        """Return the plan that reads every cell once: a row for each column, or pair of columns, that is converted."""
        apart = 2 if self.differential and self.subtract == "digital" else 1
        return BitPlan.analog(len(self.widths(bits, signed=signed)) * apart, input_widths, rows_per_digit=apart)

    @property
    def differential(self) -> bool:
        """Whether an output has a positive and a negative column for each digit."""
        return self.encoding == "differential"

    @property
    def subtracts(self) -> bool:
        """Whether one conversion takes the difference of two columns, so that MAC values have a sign."""
        return self.differential and self.subtract == "analog"

    @property
    def in_words(self) -> str:
        """How weights are stored, for people: ``differential (analog subtraction), 2 bits to a cell``."""
        subtracted = f" ({self.subtract} subtraction)" if self.differential else ""
        return f"{self.encoding}{subtracted}, {self.cell_bits} bit{'s' * (self.cell_bits > 1)} to a cell"


def columns_per_output(plan: SitePlan) -> int:
    """Return the physical columns that one output of a site takes on its macro."""
    settings = plan.settings
    return settings.macro.layout.columns(settings.weight_bits, signed=plan.weight_signed)


def digit_widths(plan: SitePlan) -> tuple[int, ...]:
    """Return the bits of the weight that each row of a site's bit plan takes."""
    settings = plan.settings
    if settings.macro.weights == "parallel":
        return (settings.weight_bits,)
    widths = settings.macro.layout.widths(settings.weight_bits, signed=plan.weight_signed)
    apart = 1 if plan.bits is None else plan.bits.rows_per_digit
    return tuple(width for width in widths for _ in range(apart))


def subtracts_input_sum(plan: SitePlan) -> bool:
    """Return whether a site takes half the range of its weights away again, times the sum of its inputs."""
    return plan.settings.macro.layout.encoding == "offset" and plan.weight_signed
