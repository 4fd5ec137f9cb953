"""Histograms of the integer MAC values that the reads of a site meet, from ideal cells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from asim_fx.ir import DIGITAL
from asim_fx.nn import CimConv, CimConvTranspose, CimMatmul, CimModule
from asim_fx.ops.config import OpConfig
from asim_fx.ops.conv import conv_reduction
from asim_fx.ops.conv_transpose import phase_reductions, quantize_transposed
from asim_fx.ops.exact import integer_matmul
from asim_fx.ops.linear import linear_reduction
from asim_fx.ops.matmul import matmul_reduction
from asim_fx.ops.planes import extract
from asim_fx.ops.quantize import quantize
from asim_fx.ops.reduction import Reduction
from asim_fx.ops.schedule import schedule

MOST_ENTRIES = 2**16
"""Of a histogram; where there are more MAC values, neighbouring ones are counted together."""
MOST_MACS = 2**22
"""MAC values of one call that are counted, about: beyond, streamed vectors are taken at even distances."""
_BLOCK_VALUES = 2**23


@dataclass(slots=True)
class MacHistogram:
    """MAC values of analog reads, apart for each size of the planes that meet.

    Size 1 is a one-bit input plane on one-bit cells, with MAC values 0..rows; a size of F has 0..F * rows.

    Attributes:
        rows: row parallelism.
        signed: whether MAC values have a sign.
        counts: size -> float64 number of reads of each MAC value, or of each run of them where they are many.
        weights: size -> float64 sum of their squared place values: how much an error there counts in the result.
    """

    rows: int
    signed: bool = False
    counts: dict[int, Tensor] = field(default_factory=dict)
    weights: dict[int, Tensor] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Reads that were counted."""
        return int(sum(float(counts.sum()) for counts in self.counts.values()))

    @property
    def constant(self) -> bool:
        """Whether several reads were counted and all had the same MAC value, for each size."""
        return self.total > 1 and all(int((counts > 0).sum()) <= 1 for counts in self.counts.values())

    def values(self, size: int) -> Tensor:
        """Return the MAC value of each entry, float64: the middle one of a run."""
        run = self._run(size)
        lowest = -size * self.rows if self.signed else 0
        return lowest + torch.arange(self._entries(size), dtype=torch.float64) * run + (run - 1) / 2

    def add(self, size: int, place: int, macs: Tensor) -> None:
        """Count reads of planes of this size and place value."""
        above = macs.flatten().to(torch.int64) + (size * self.rows if self.signed else 0)
        numbers = above.div(self._run(size), rounding_mode="floor")
        found = torch.bincount(numbers, minlength=self._entries(size)).to("cpu", torch.float64)
        for histogram, factor in ((self.counts, 1), (self.weights, place**2)):
            histogram[size] = histogram.get(size, torch.zeros_like(found)) + found * factor

    def _run(self, size: int) -> int:
        return -(-self._all(size) // MOST_ENTRIES)

    def _entries(self, size: int) -> int:
        return -(-self._all(size) // self._run(size))

    def _all(self, size: int) -> int:
        return (2 if self.signed else 1) * size * self.rows + 1


def observe_macs(
    site: CimModule, streamed: Tensor, stored: Tensor, into: MacHistogram, clip: Tensor | None = None
) -> None:
    """Count the MAC values of one call of a site.

    Args:
        site: what was called.
        streamed: its streamed operand.
        stored: its stored operand.
        into: counts are added here.
        clip: the learned bound of the streamed operand, 0-d, where it has one: its scale.
    """
    for reduction, config in _reductions(site, streamed, stored, clip):
        count_macs(reduction, config, into)


def count_macs(reduction: Reduction, config: OpConfig, into: MacHistogram) -> None:
    """Count the MAC values of every read that the plan does not make digital, of evenly spaced streamed vectors."""
    work = schedule(replace(config, read=replace(config.read, window=None, window_known=True)))
    streamed, stored = work.streamed, work.stored
    analog = {
        j: [i for i in range(config.plan.weight_planes) if config.plan.reads[i][j] != DIGITAL]
        for j in range(len(streamed))
    }
    tiles = -(-reduction.length // config.step)
    of_a_vector = reduction.outputs * tiles * sum(map(len, analog.values()))
    keep_one_in = max(1, reduction.vectors * of_a_vector // MOST_MACS)
    position = 0
    for groups, blocks in reduction.blocks(max(1, _BLOCK_VALUES // (reduction.length + reduction.outputs))):
        codes = reduction.stored[groups].to(torch.int32)
        for block in blocks:
            vectors = reduction.streamed(block)
            kept = vectors[:, -position % keep_one_in :: keep_one_in].to(torch.int32)
            position += vectors.shape[1]
            for start in range(0, reduction.length, config.step):
                rows = slice(start, start + config.step)
                for j, chosen in analog.items():
                    plane = extract(kept[..., rows], streamed[j])
                    for i in chosen:
                        column = extract(codes[:, rows], stored[i])
                        size = streamed[j].largest * stored[i].largest
                        into.add(size, streamed[j].place * stored[i].place, integer_matmul(plane, column, size))


def _reductions(
    site: CimModule, streamed: Tensor, stored: Tensor, clip: Tensor | None
) -> Iterator[tuple[Reduction, OpConfig]]:
    config = site.config
    scale = site.input_scale if clip is None else clip
    weight_scale = site.weight_scale if isinstance(site, CimMatmul) else None
    codes = quantize(streamed, config.input, site=config.site, role="input", scale=scale).codes
    if isinstance(site, CimConvTranspose):
        weight = quantize_transposed(stored, config, site.groups)
        for _, reduction, mine in phase_reductions(codes, weight.codes, config, site.geometry, site.groups):
            yield reduction, mine
        return
    cells = quantize(stored, config.weight, site=config.site, role="weight", scale=weight_scale).codes
    if isinstance(site, CimConv):
        geometry = site.geometry
        groups = streamed.shape[1] // stored.shape[1] if site.computed_weight else site.groups
        padding = [side for pair in geometry.padding for side in pair]
        yield conv_reduction(codes, cells, geometry.stride, padding, geometry.dilation, groups), config
    elif isinstance(site, CimMatmul):
        left, right = (cells, codes) if site.stored_first else (codes, cells)
        yield matmul_reduction(left, right, stored_first=site.stored_first), config
    else:
        yield linear_reduction(codes, cells), config
