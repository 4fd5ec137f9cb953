"""The stored operand as the arrays hold it: planes of each row tile, side by side along the outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import torch
from torch import Tensor

from asim_fx.nonidealities.capacitor_mismatch import vary_capacitors
from asim_fx.nonidealities.cell_variation import chip_of, vary_cells
from asim_fx.ops.config import OpConfig
from asim_fx.ops.draws import Seed
from asim_fx.ops.planes import Plane, extract

KEPT_BYTES = 2**26
"""Up to this size, planes of an operand are kept between blocks of vectors; beyond, each block makes them again."""

TileMatrix = Callable[[int, tuple[int, ...], bool], Tensor]
"""(row tile, stored planes, whether their cells vary) -> (groups, rows of the tile, planes * N)."""


def tile_matrices(
    codes: Tensor, cells: Tensor | None, planes: Sequence[Plane], config: OpConfig, seed: Seed, variants: int
) -> TileMatrix:
    """Return a function that gives the matrix of a row tile.

    Args:
        codes: float32 (groups, K, N).
        cells: int64 number of each weight, of the same shape; None where cells do not vary.
        planes: of the stored operand.
        config: of the operation.
        seed: of the forward pass.
        variants: how many different choices of planes the schedule makes of each tile.
    """

    def matrix(tile: int, chosen: tuple[int, ...], vary: bool) -> Tensor:
        rows = slice(tile * config.step, (tile + 1) * config.step)
        if vary and cells is not None:
            strengths = _strengths(codes[:, rows], cells[:, rows], planes, config, seed)
            return strengths[:, :, list(chosen)].flatten(2)
        if planes[0].whole:
            return codes[:, rows]
        integers = codes[:, rows].to(torch.int32)
        return torch.stack([extract(integers, planes[index]) for index in chosen], dim=2).flatten(2)

    kept = codes.numel() * len(planes) * variants * (8 if cells is not None else 4)
    return cache(matrix) if kept <= KEPT_BYTES else matrix


def _strengths(codes: Tensor, cells: Tensor, planes: Sequence[Plane], config: OpConfig, seed: Seed) -> Tensor:
    """Return the float64 planes (groups, rows, planes, N) of varying cells."""
    bits = config.weight.bits
    integers = codes.to(torch.int32)
    ones = torch.stack([(integers >> bit) & 1 for bit in range(bits)], dim=-1).to(torch.float32)
    read = config.read
    strengths = ones.to(torch.float64)
    if read.cell_variation_percent:
        chip = chip_of(seed, redrawn=read.cell_variation_redrawn)
        strengths = vary_cells(ones, cells, read.cell_variation_percent, chip.key(config.cells))
    if read.capacitor_sigma_percent and not read.capacitors_redrawn:
        die = chip_of(seed, redrawn=False).key(config.cells)
        strengths = vary_capacitors(strengths, cells, read.capacitor_sigma_percent, read.rows, die)
    varied = strengths.movedim(-1, 2)
    if not planes[0].whole:
        return varied
    places = [-(2**bit) if config.weight.signed and bit == bits - 1 else 2**bit for bit in range(bits)]
    return (varied * torch.tensor(places, device=codes.device)[:, None]).sum(dim=2, keepdim=True)
