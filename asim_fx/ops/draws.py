"""Which random word belongs to which read, or to which cell of a chip.

The rule is the contract between engines: see docs/numerics.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import torch
from torch import Tensor

from asim_fx.ir import BatchLayout
from asim_fx.ops.philox import WORD, mix64, philox4x32

_COUNTERS_AT_ONCE = 65536
"""Counters that one call works on: its temporaries stay in the processor's second-level cache."""
_CELL_DOMAIN = 0x80000000
"""Top bit of the last counter word, set for cells and clear for reads, so that the two never share a word."""
FINE_DOMAIN = 0x40000000
"""Bit of the last counter word that tells the block of the low halves from that of the high halves."""
READS_PER_BLOCK = 8
"""Reads that share a block: 16 bits of it to each."""


class CellDomain(IntEnum):
    """What is drawn for a cell or a column of a die: each has words of its own."""

    STRENGTH = 0
    CAPACITOR = 1
    OTHER_CAPACITORS = 2
    STUCK = 3
    CONVERTER_GAIN = 4
    CONVERTER_OFFSET = 5
    CONVERTER_STEPS = 6


@dataclass(frozen=True, slots=True)
class Seed:
    """What a forward pass draws from.

    Attributes:
        seed: chosen by the user.
        first_sample: number of the first sample of this batch among all that were run.
        die: the chip, which then has noise of its own too; None where the seed stands for both.
    """

    seed: int
    first_sample: int = 0
    die: int | None = None

    def key(self, stream: int) -> tuple[int, int]:
        """Return the Philox key of one site."""
        mixed = mix64(self.seed if self.die is None else self.seed ^ mix64(self.die + 1))
        return mixed & WORD, (mixed >> 32) ^ stream

    def redrawn(self) -> Seed:
        """Return a seed that is another one at each forward pass, for what is drawn anew with each."""
        return Seed(self.seed ^ mix64(self.first_sample + 1))


@dataclass(frozen=True, slots=True)
class OutputCounters:
    """The part of a read's counter that says which output it is for: three int64 tensors of one shape."""

    element: Tensor
    sample: Tensor
    high: Tensor


def output_counters(flat: Tensor, layout: BatchLayout | None, numel: int, seed: Seed) -> OutputCounters:
    """Return the counters of the output elements with row-major indices ``flat`` of a result of ``numel`` elements."""
    if layout is None:
        element, sample = flat, torch.full_like(flat, seed.first_sample)
    else:
        batch = numel // layout.elements
        run = torch.div(flat, layout.stride, rounding_mode="floor")
        outer = torch.div(run, batch, rounding_mode="floor")
        sample = run - outer * batch + seed.first_sample
        element = outer * layout.stride + (flat - run * layout.stride)
    high = ((element >> 32) & 0xFFFF) | (((sample >> 32) & 0x3FFF) << 16)
    return OutputCounters(element & WORD, sample & WORD, high)


def read_words(outputs: OutputCounters, reads: Sequence[int], key: tuple[int, int]) -> dict[int, Tensor]:
    """Return the word of each numbered read for each output (int64, of the outputs' shape).

    The high 16 bits, which nearly always decide, and the low 16 bits come from two blocks, so that an engine may leave
    out the second where it does not matter.
    """
    wanted = set(reads)
    blocks = sorted({read // READS_PER_BLOCK for read in wanted})
    shape = outputs.element.shape
    element, sample, high = (word.reshape(1, -1) for word in (outputs.element, outputs.sample, outputs.high))
    at_once = max(1, _COUNTERS_AT_ONCE // max(1, element.numel()))
    words: dict[int, Tensor] = {}
    for start in range(0, len(blocks), at_once):
        chosen = blocks[start : start + at_once]
        number = torch.tensor(chosen, dtype=torch.int64, device=element.device)[:, None]
        coarse = philox4x32((element, sample, number, high), key)
        fine = philox4x32((element, sample, number, high | FINE_DOMAIN), key)
        for row, block in enumerate(chosen):
            for place in range(READS_PER_BLOCK):
                if (read := block * READS_PER_BLOCK + place) in wanted:
                    upper, lower = _half(coarse, row, place), _half(fine, row, place)
                    words[read] = upper.bitwise_left_shift_(16).bitwise_or_(lower).view(shape)
    return words


def _half(lanes: Sequence[Tensor], row: int, place: int) -> Tensor:
    """Return 16 bits of a block: of word ``place // 2`` the low half where ``place`` is even, else the high half."""
    return (lanes[place // 2][row] >> 16 * (place % 2)) & 0xFFFF


def cell_words(cells: Tensor, planes: int, key: tuple[int, int], domain: CellDomain = CellDomain.STRENGTH) -> Tensor:
    """Return a word for each cell and stored plane (int64, of ``cells``' shape plus a last axis of ``planes``).

    Args:
        cells: int64 number of the weight that a group of cells holds; for a column, that of its first row.
        planes: stored planes of each weight.
        key: of the site and chip.
        domain: what is drawn.
    """
    counters = -(-planes // 4)
    block = torch.arange(counters, device=cells.device)
    high = torch.full_like(block, _CELL_DOMAIN | domain)
    lanes = philox4x32(((cells & WORD)[..., None], (cells >> 32)[..., None], block, high), key)
    return torch.stack(lanes, dim=-1).flatten(-2)[..., :planes]
