"""The one form that convolution, linear and matmul take: streamed vectors times stored matrices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Block:
    """Part of the work: some groups, samples and positions."""

    groups: slice
    samples: slice
    positions: slice


@dataclass(frozen=True, slots=True)
class Gather:
    """Where the streamed codes lie, for an engine that fetches them itself: element k of a vector is at start + offset.

    Attributes:
        source: float32 codes, flat.
        starts: of (group, sample, position), broadcast from one int64 tensor for each axis.
        offsets: int64, of each of the K elements.
    """

    source: Tensor
    starts: tuple[Tensor, Tensor, Tensor]
    offsets: Tensor

    def starts_of(self, block: Block) -> Tensor:
        """Return the starts of a block's vectors, (groups, samples * positions)."""
        groups, samples, positions = self.starts
        parts = groups[block.groups, None, None] + samples[block.samples, None] + positions[block.positions]
        return parts.flatten(1)


@dataclass(frozen=True, slots=True)
class Reduction:
    """An operation as ``groups`` matrices of K x N, each multiplied by samples x positions vectors of length K.

    Attributes:
        groups: independent matrices.
        samples: outer count of the vectors; 1 where they have a single axis.
        positions: inner count of the vectors.
        outputs: N.
        length: K; tiles are contiguous runs of it.
        shape: of the result.
        strides: of (group, sample, position, output) in the row-major result.
        streamed: codes of a block as (groups, samples * positions, K), float32.
        stored: codes as (groups, K, N), float32; may be a view.
        stored_numel: elements of the stored operand as it was given.
        arrange_stored: brings a flat row-major tensor of ``stored_numel`` elements into the order of ``stored``.
        gather: where the streamed codes lie.
        whole: the product of ``gather.source``, or of other codes in its place, and (groups, K, N) in one float32
            operation of the library, flat and row-major, where there is one that lays out no vectors.
        grain: positions come in multiples of this.
    """

    groups: int
    samples: int
    positions: int
    outputs: int
    length: int
    shape: tuple[int, ...]
    strides: tuple[int, int, int, int]
    streamed: Callable[[Block], Tensor]
    stored: Tensor
    stored_numel: int
    arrange_stored: Callable[[Tensor], Tensor]
    gather: Gather
    whole: Callable[[Tensor, Tensor], Tensor] | None = None
    grain: int = 1

    @property
    def numel(self) -> int:
        """Elements of the result."""
        return self.groups * self.samples * self.positions * self.outputs

    @property
    def vectors(self) -> int:
        """Streamed vectors, of all groups."""
        return self.groups * self.samples * self.positions

    def blocks(self, vectors: int) -> Iterator[tuple[slice, list[Block]]]:
        """Yield (groups, blocks of these groups); a block has about ``vectors`` vectors at most."""
        if self.numel == 0:
            return
        if vectors >= self.groups * self.positions:
            sizes = self.groups, vectors // (self.groups * self.positions), self.positions
        elif vectors >= self.positions:
            sizes = vectors // self.positions, 1, self.positions
        else:
            sizes = 1, 1, max(self.grain, vectors // self.grain * self.grain)
        for groups in _slices(self.groups, sizes[0]):
            yield (
                groups,
                [
                    Block(groups, samples, positions)
                    for samples in _slices(self.samples, sizes[1])
                    for positions in _slices(self.positions, sizes[2])
                ],
            )

    def place(self, result: Tensor, block: Block, values: Tensor) -> None:
        """Write a block's values, (groups, samples * positions, N), to the flat row-major result."""
        whole = result.as_strided((self.groups, self.samples, self.positions, self.outputs), self.strides)
        part = whole[block.groups, block.samples, block.positions]
        part.copy_(values.view(part.shape))

    def flat_index(self, block: Block, device: torch.device) -> Tensor:
        """Return the row-major index in the result of each value of a block, (groups, samples * positions, N)."""
        axes = (block.groups, block.samples, block.positions, slice(0, self.outputs))
        total = torch.zeros((), dtype=torch.int64, device=device)
        for axis, (part, stride) in enumerate(zip(axes, self.strides, strict=True)):
            steps = torch.arange(part.start, part.stop, device=device) * stride
            total = total + steps.view([-1 if other == axis else 1 for other in range(4)])
        return total.flatten(1, 2)


def _slices(length: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, length)) for start in range(0, length, size)]
