"""A convolution of any number of spatial dimensions as a reduction; patches are laid out for one block at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from asim_fx.errors import InputError
from asim_fx.ops.exact import convolve
from asim_fx.ops.reduction import Block, Gather, Reduction


def output_extent(size: int, kernel: int, stride: int, before: int, after: int, dilation: int) -> int:
    """Return the length of a convolution's result along one dimension."""
    return (size + before + after - dilation * (kernel - 1) - 1) // stride + 1


def output_extents(
    streamed: Sequence[int],
    stored: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> list[int]:
    """Return the length of a convolution's result along each spatial dimension, from the shapes of its operands.

    Raises:
        InputError: the kernel is larger than the padded input.
    """
    extents = [
        output_extent(streamed[2 + d], stored[2 + d], stride[d], padding[2 * d], padding[2 * d + 1], dilation[d])
        for d in range(len(stride))
    ]
    if min(extents) < 1:
        message = (
            f"a kernel of {'x'.join(map(str, stored[2:]))} does not fit an input of {tuple(streamed[2:])} padded by "
        )
        raise InputError(message + f"{tuple(padding)}")
    return extents


def check_conv(streamed: Sequence[int], stored: Sequence[int], dims: int, groups: int) -> None:
    """Check the shapes of the input and of the weight of a convolution.

    Args:
        streamed: shape of the input, (batch, channels, *spatial).
        stored: shape of the weight, (outputs, channels / groups, *kernel).
        dims: number of spatial dimensions.
        groups: independent convolutions side by side.

    Raises:
        InputError: wrong number of dimensions or channels, or groups that do not divide the outputs.
    """
    if len(stored) != 2 + dims or stored[0] % groups:
        message = f"a weight of shape {tuple(stored)} does not suit a {dims}-dimensional convolution in {groups} groups"
        raise InputError(message)
    if len(streamed) != 2 + dims:
        message = f"a {dims}-dimensional convolution got an input of shape {tuple(streamed)}"
        raise InputError(message, hint=f"it takes {2 + dims} dimensions: batch, channels and {dims} spatial ones")
    if streamed[1] != stored[1] * groups:
        message = f"a convolution of {stored[1] * groups} input channels got an input of shape {tuple(streamed)}"
        raise InputError(message, hint="channels are the dimension after the batch")


def pad_spatial(value: Tensor, padding: Sequence[int]) -> Tensor:
    """Return ``value`` with zeros around it; ``padding`` is (before, after) of each spatial dimension, in order."""
    if not any(padding):
        return value
    pairs = [padding[2 * axis : 2 * axis + 2] for axis in range(len(padding) // 2)]
    return F.pad(value, [side for pair in reversed(pairs) for side in pair])


def _lines(windows: Tensor, lines: slice, extents: Sequence[int]) -> Tensor:
    """Return the windows of a run of lines; a line holds all positions that differ in the last dimension alone."""
    if len(extents) == 1:
        return windows[:, :, lines]
    numbers = torch.arange(lines.start, lines.stop, device=windows.device)
    at: tuple[slice | Tensor, ...] = (slice(None), slice(None), *torch.unravel_index(numbers, tuple(extents)))
    return windows[at]


def _sums(parts: Sequence[Tensor]) -> Tensor:
    """Return the sums of one number of each part, row-major over the parts."""
    total = parts[0]
    for part in parts[1:]:
        total = (total[:, None] + part).flatten()
    return total


def conv_reduction(
    streamed: Tensor,
    stored: Tensor,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> Reduction:
    """Return the reduction of a convolution; the reduction axis is (channel of the group, taps), row-major.

    Args:
        streamed: codes (batch, channels, *spatial).
        stored: codes (outputs, channels / groups, *kernel).
        stride: one for each spatial dimension; so ``dilation``.
        padding: (before, after) of each spatial dimension.
        dilation: distance between taps.
        groups: independent convolutions side by side.

    Raises:
        InputError: the shapes do not fit, or the kernel is larger than the padded input.
    """
    check_conv(streamed.shape, stored.shape, len(stride), groups)
    dims = len(stride)
    kernel = tuple(stored.shape[2:])
    padded = pad_spatial(streamed, padding).contiguous()
    batch = padded.shape[0]
    extents = output_extents(streamed.shape, stored.shape, stride, padding, dilation)
    channels, outputs = stored.shape[1], stored.shape[0] // groups
    positions, length = math.prod(extents), channels * math.prod(kernel)
    steps = padded.stride()
    windows = padded.as_strided(
        (groups, batch, *extents, channels, *kernel),
        (
            channels * steps[1],
            steps[0],
            *(steps[2 + d] * stride[d] for d in range(dims)),
            steps[1],
            *(steps[2 + d] * dilation[d] for d in range(dims)),
        ),
    )
    places = [torch.arange(size) * step for size, step in zip(windows.shape, windows.stride(), strict=True)]
    starts = places[0], places[1], _sums(places[2 : 2 + dims])
    gather = Gather(padded.view(-1), starts, _sums(places[2 + dims :]))
    # Memory stays bounded where one step along the first dimension is many positions.
    grain = extents[-1] if dims > 1 else 1

    def arrange(flat: Tensor) -> Tensor:
        return flat.view(groups, outputs, length).transpose(1, 2)

    def block_of(block: Block) -> Tensor:
        lines = slice(block.positions.start // grain, block.positions.stop // grain)
        part = _lines(windows[block.groups, block.samples], lines, extents[: max(1, dims - 1)])
        return part.reshape(part.shape[0], -1, length)

    def whole(source: Tensor, matrices: Tensor) -> Tensor:
        weight = matrices.transpose(1, 2).reshape(stored.shape)
        return convolve(source.view(padded.shape), weight, stride, dilation, groups).reshape(-1)

    return Reduction(
        groups=groups,
        samples=batch,
        positions=positions,
        outputs=outputs,
        length=length,
        shape=(batch, stored.shape[0], *extents),
        strides=(outputs * positions, groups * outputs * positions, 1, positions),
        streamed=block_of,
        stored=arrange(stored.flatten()),
        stored_numel=stored.numel(),
        arrange_stored=arrange,
        gather=gather,
        whole=whole,
        grain=grain,
    )
