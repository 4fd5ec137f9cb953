"""Gain and offset of each converter, drawn once for a die. Columns that share a converter share them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from asim_fx.nonidealities.cell_variation import chip_of
from asim_fx.nonidealities.reads import needs_columns
from asim_fx.ops.codes import Columns, top_code
from asim_fx.ops.config import OpConfig
from asim_fx.ops.draws import CellDomain, Seed, cell_words
from asim_fx.ops.normal import normal

TileColumns = Callable[[int, int], Columns | None]
"""(row tile, stored plane) -> what is particular to its columns; None where all convert alike."""


def column_matrices(cells: Tensor | None, planes: int, config: OpConfig, seed: Seed) -> TileColumns:
    """Return a function that gives gain and offset of the columns of a row tile, each (groups, 1, N).

    The physical columns of one row tile and group are numbered output by output, the planes of an output side by side;
    each run of ``columns_per_adc`` shares a converter.

    Args:
        cells: int64 number of each weight, (groups, K, N); None where all columns convert alike.
        planes: stored planes.
        config: of the operation.
        seed: of the forward pass.
    """
    read = config.read
    if cells is None or not needs_columns(read):
        return lambda tile, plane: None
    key = chip_of(seed, redrawn=False).key(config.cells)

    @cache
    def errors(tile: int, domain: CellDomain) -> Tensor:
        words = cell_words(cells[:, tile * config.step], planes, key, domain).flatten(1)
        column = torch.arange(words.shape[1], device=words.device)
        return normal(words[:, column // read.columns_per_adc * read.columns_per_adc]).view(words.shape[0], -1, planes)

    def columns(tile: int, plane: int) -> Columns:
        gain = errors(tile, CellDomain.CONVERTER_GAIN)[:, None, :, plane] * (read.adc_gain_sigma_percent / 100)
        offset = errors(tile, CellDomain.CONVERTER_OFFSET)[:, None, :, plane]
        return Columns(1 + gain, offset * (read.adc_offset_sigma_lsb / top_code(read)))

    return columns
