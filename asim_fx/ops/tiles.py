"""The stored operand as the arrays hold it: planes of each row tile, side by side along the outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import torch
from torch import Tensor

from asim_fx.nonidealities.capacitor_mismatch import vary_capacitors
from asim_fx.nonidealities.cell_variation import chip_of, vary_cells
from asim_fx.ops.cells import cell_planes
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
        codes: what the cells hold, (groups, K, N).
        cells: int64 number of each weight, of the same shape; None where cells do not vary.
        planes: of the stored operand.
        config: of the operation.
        seed: of the forward pass.
        variants: how many different choices of planes the schedule makes of each tile.
    """

    def matrix(tile: int, chosen: tuple[int, ...], vary: bool) -> Tensor:
        rows = slice(tile * config.step, (tile + 1) * config.step)
        if vary and cells is not None:
            strengths = _strengths(codes[:, rows], cells[:, rows], config, seed)
            return strengths[:, :, list(chosen)].flatten(2)
        if planes[0].whole:
            return codes[:, rows]
        integers = codes[:, rows].to(torch.int32)
        return torch.stack([extract(integers, planes[index]) for index in chosen], dim=2).flatten(2)

    kept = codes.numel() * len(planes) * variants * (8 if cells is not None else 4)
    return cache(matrix) if kept <= KEPT_BYTES else matrix


def _strengths(codes: Tensor, cells: Tensor, config: OpConfig, seed: Seed) -> Tensor:
    """Return the float64 planes (groups, rows, planes, N) of varying cells."""
    integers, read = codes.to(torch.int32), config.read
    planes = cell_planes(config)
    digits = torch.stack([extract(integers, plane) for plane in planes], dim=-1)
    strengths = digits.to(torch.float64)
    if read.cell_variation_percent:
        strengths = vary_cells(
            digits,
            cells,
            read.cell_variation_percent,
            chip_of(seed, redrawn=read.cell_variation_redrawn).key(config.cells),
            largest=torch.tensor([plane.largest for plane in planes], device=codes.device),
            proportional=read.cell_variation_proportional,
        )
    if read.capacitor_sigma_percent and not read.capacitors_redrawn:
        die = chip_of(seed, redrawn=False).key(config.cells)
        strengths = vary_capacitors(strengths, cells, read.capacitor_sigma_percent, read.rows, die)
    varied = strengths.movedim(-1, 2)
    if read.parallel:
        places = torch.tensor([plane.place for plane in planes], device=codes.device)
        return (varied * places[:, None]).sum(dim=2, keepdim=True)
    return varied[:, :, ::2] - varied[:, :, 1::2] if read.subtracted else varied
