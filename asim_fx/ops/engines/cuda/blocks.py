"""How many outputs one program computes: the fastest of a few shapes, timed once for each kind of kernel."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
import triton

from asim_fx.ops.engines.cuda.kernels.reading import read_tiles

_WIDEST = 64
_NARROWEST = 16
_PER_THREAD = 8
"""Outputs of a thread: its four words, counters and sum to each fill half of the 255 registers that a thread can have,
so that 16 warps fit a multiprocessor."""
_HEIGHTS = ((32, 4), (32, 8), (64, 4), (64, 8), (64, 16), (128, 8), (128, 16))
"""Streamed vectors of a program, and warps."""
_KIND = ["BLOCK_N", "ROWS", "COLUMN_BITS", "VOTES"]


def block_width(outputs: int) -> int:
    """Return how many stored vectors a program takes."""
    width: int = triton.next_power_of_2(outputs)
    return min(_WIDEST, max(_NARROWEST, width))


def block_shape(width: int, vectors: int, device: torch.device) -> tuple[Any, dict[str, int]]:
    """Return the kernel and what else it is given: nothing where it is tuned, the shape where it is interpreted."""
    if device.type != "cpu":
        return tuned(), {}
    return read_tiles, {"BLOCK_M": min(1024 // width, max(16, triton.next_power_of_2(vectors)))}


@cache
def tuned(timer: Callable[..., list[float]] | None = None) -> Any:
    """Return the kernel that times its shapes at the first call of each kind and keeps the fastest on disk."""
    configs = [
        triton.Config({"BLOCK_M": height}, num_warps=warps, num_stages=stages, maxnreg=128)
        for height, warps in _HEIGHTS
        for stages in (2, 3)
    ]
    prune = {"early_config_prune": _fitting}
    decorate = triton.autotune(configs, key=_KIND, prune_configs_by=prune, do_bench=timer, cache_results=True)
    return decorate(read_tiles)


def _fitting(configs: list[Any], named_args: dict[str, Any], **given: Any) -> list[Any]:
    """Return the shapes with the outputs that a thread should have."""
    return [one for one in configs if one.kwargs["BLOCK_M"] * given["BLOCK_N"] == _PER_THREAD * 32 * one.num_warps]
