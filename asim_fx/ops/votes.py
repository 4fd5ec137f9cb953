"""How several codes of one cell become one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from asim_fx.ir import VoteRule


def vote(codes: Sequence[Tensor], how: VoteRule) -> Tensor:
    """Return one code for each cell; for ``mean`` the sum, which the caller divides by their number once, at the end.

    Args:
        codes: one tensor for each read, all of one shape.
        how: ``mode``: the most common, ties to the smallest. ``median``: the lower middle of an even number. ``mean``:
            not rounded.
    """
    if len(codes) == 1:
        return codes[0]
    if how == "mean":
        total = codes[0].clone()
        for code in codes[1:]:
            total += code
        return total
    if how == "median":
        return torch.stack(tuple(codes)).sort(dim=0).values[(len(codes) - 1) // 2]
    return _mode(codes)


def _mode(codes: Sequence[Tensor]) -> Tensor:
    best = codes[0]
    best_count = torch.zeros_like(best, dtype=torch.int64)
    for candidate in codes:
        count = torch.zeros_like(best_count)
        for code in codes:
            count += code == candidate
        better = (count > best_count) | ((count == best_count) & (candidate < best))
        best = torch.where(better, candidate, best)
        best_count = torch.where(better, count, best_count)
    return best
