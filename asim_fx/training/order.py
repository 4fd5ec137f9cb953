"""Which images an update sees, and what its draws are seeded with: functions of numbers, so nothing needs saving."""

from __future__ import annotations

from itertools import pairwise

import torch

from asim_fx.ops.philox import mix64


def draw_seed(*numbers: int) -> int:
    """Return 63 bits that tell one draw from all others."""
    state = 0
    for number in numbers:
        state = mix64(state ^ number)
    return state >> 1


def epoch_batches(samples: int, batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """Return the positions of the images of every update of an epoch.

    All batches are whole: what is left over of this shuffle waits for the next one. Fewer images than a batch make one
    batch.
    """
    generator = torch.Generator().manual_seed(draw_seed(seed, epoch, 1))
    order = torch.randperm(samples, generator=generator).tolist()
    count = max(1, samples // batch_size)
    return [order[start * batch_size : (start + 1) * batch_size] for start in range(count)]


def part_bounds(images: int, parts: int) -> list[tuple[int, int]]:
    """Return first and end position of each part of a batch; they differ by one image at most."""
    edges = [images * part // parts for part in range(parts + 1)]
    return list(pairwise(edges))
