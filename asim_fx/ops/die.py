"""What is fixed before any engine runs: the encoding of what is stored; of a die, stuck cells and converter steps."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from asim_fx.nonidealities.adc_steps import drawn_thresholds
from asim_fx.nonidealities.cell_variation import chip_of
from asim_fx.nonidealities.stuck_cells import stick_cells
from asim_fx.ops.cells import cell_planes, held, holds_codes, words_of
from asim_fx.ops.config import OpConfig
from asim_fx.ops.draws import Seed
from asim_fx.ops.reduction import Reduction


def on_die(reduction: Reduction, config: OpConfig, seed: Seed) -> tuple[Reduction, OpConfig]:
    """Return the operation as one die computes it: with what its cells hold and the steps of its converters."""
    read = config.read
    key = chip_of(seed, redrawn=False).key(config.cells)
    if read.dnl_sigma_lsb:
        levels = drawn_thresholds(read.top_code, read.dnl_sigma_lsb, key)
        config = replace(config, read=replace(read, thresholds_lsb=levels, dnl_sigma_lsb=0.0))
    stuck = bool(read.stuck_at_0_percent or read.stuck_at_1_percent)
    if stuck or not holds_codes(config):
        words = words_of(reduction.stored, config)
        if stuck:
            words = stick_cells(words, cell_numbers(reduction, config), cell_planes(config), read, key)
        stored = held(words, config)
        if read.parallel and holds_codes(config):
            # One read of the whole product: its full scale has no room for the most negative code.
            stored = stored.clamp(min=-config.weight.levels)
        reduction = replace(reduction, stored=stored)
    return reduction, config


def cell_numbers(reduction: Reduction, config: OpConfig) -> Tensor:
    """Return the number of the physical cells behind each stored code, int64 (groups, K, N).

    Where samples are told apart (attention), all samples of a batch use the same cells.
    """
    count = reduction.stored_numel
    flat = torch.arange(count, device=reduction.stored.device)
    layout = config.weight.layout
    if layout is not None and count:
        batch = count // layout.elements
        flat = flat // (layout.stride * batch) * layout.stride + flat % layout.stride
    return reduction.arrange_stored(flat)
