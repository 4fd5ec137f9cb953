"""A transposed convolution: each stride phase is a convolution over the taps that it uses."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from asim_fx.errors import InputError
from asim_fx.ir import BatchLayout, ConvGeometry, row_step
from asim_fx.ops.config import OpConfig
from asim_fx.ops.conv import conv_reduction
from asim_fx.ops.draws import Seed
from asim_fx.ops.operation import finish
from asim_fx.ops.quantize import Quantized, quantize
from asim_fx.ops.reduction import Reduction
from asim_fx.phases import AxisPhase, Phase, transposed_extent, transposed_phases


def simulate_conv_transpose(
    x: Tensor,
    weight: Tensor,
    config: OpConfig,
    seed: Seed,
    *,
    geometry: ConvGeometry,
    groups: int,
    input_scale: Tensor | None = None,
) -> Tensor:
    """Return the transposed convolution of ``x`` (batch, channels, *spatial) as the hardware computes it, without bias.

    Both operands are quantised whole, then each phase is simulated with row tiles and random numbers of its own.
    Outputs that no tap reaches are zero. ``weight`` is (channels, outputs / groups, *kernel). The result has the dtype
    of ``x``.

    Raises:
        InputError: the shapes of the operands do not fit.
    """
    check_conv_transpose(x.shape, weight.shape, len(geometry.stride), groups)
    streamed = quantize(x, config.input, site=config.site, role="input", scale=input_scale)
    stored = quantize_transposed(weight, config, groups)
    extents = [transposed_extent(size, axis, geometry) for axis, size in enumerate(x.shape[2:])]
    result = x.new_zeros((x.shape[0], weight.shape[1] * groups, *extents))
    for phase, reduction, mine in phase_reductions(streamed.codes, stored.codes, config, geometry, groups):
        values = finish(reduction, streamed, stored, mine, seed, x.dtype, channel=1)
        steps = zip(phase.axes, geometry.stride, strict=True)
        place: list[Any] = [..., *(_outputs(axis, stride) for axis, stride in steps)]
        result[tuple(place)] = values
    return result


def check_conv_transpose(streamed: Sequence[int], stored: Sequence[int], dims: int, groups: int) -> None:
    """Check the shapes of the input, (batch, channels, *spatial), and of the weight, (channels, ...).

    Raises:
        InputError: wrong number of dimensions or channels, or groups that do not divide the channels.
    """
    if len(streamed) != 2 + dims or len(stored) != 2 + dims or streamed[1] != stored[0] or stored[0] % groups:
        message = (
            f"a {dims}-dimensional transposed convolution in {groups} groups cannot take an input of shape "
            f"{tuple(streamed)} and a weight of shape {tuple(stored)}"
        )
        raise InputError(message, hint="the input is (batch, channels, ...), the weight (channels, ...)")


def phase_reductions(
    codes: Tensor, stored: Tensor, config: OpConfig, geometry: ConvGeometry, groups: int
) -> Iterator[tuple[Phase, Reduction, OpConfig]]:
    """Yield each phase that has an output, as an ordinary convolution of codes, and what is simulated in it."""
    positions = math.prod(transposed_extent(size, axis, geometry) for axis, size in enumerate(codes.shape[2:]))
    for number, phase in enumerate(transposed_phases(codes.shape[2:], geometry)):
        if not phase.positions or not codes.numel():
            continue
        windows = _windows(codes, [(axis.start, axis.window) for axis in phase.axes])
        ones, zeros = [1] * len(phase.axes), [0] * 2 * len(phase.axes)
        dilation = [axis.dilation for axis in phase.axes]
        reduction = conv_reduction(windows, taps_of(stored, phase, groups), ones, zeros, dilation, groups)
        yield phase, reduction, _phase_config(config, number, phase, positions)


def quantize_transposed(weight: Tensor, config: OpConfig, groups: int) -> Quantized:
    """Return the codes of a transposed convolution's weight in its own order, scales in the order of the outputs."""
    if config.weight.scale != "channel":
        return quantize(weight, config.weight, site=config.site, role="weight")
    quantized = quantize(outputs_first(weight, groups), config.weight, site=config.site, role="weight")
    return Quantized(inputs_first(quantized.codes, groups), quantized.scale)


def outputs_first(weight: Tensor, groups: int) -> Tensor:
    """Return (channels, outputs / groups, *kernel) as (outputs, channels / groups, *kernel)."""
    return weight.reshape(groups, -1, *weight.shape[1:]).transpose(1, 2).flatten(0, 1)


def inputs_first(weight: Tensor, groups: int) -> Tensor:
    """Undo ``outputs_first``, which is its own inverse."""
    return outputs_first(weight, groups).contiguous()


def taps_of(weight: Tensor, phase: Phase, groups: int) -> Tensor:
    """Return a phase's taps as the weight of an ordinary convolution, (outputs, channels / groups, *taps)."""
    taps: list[Any] = [..., *(slice(axis.tap, None, axis.tap_step) for axis in phase.axes)]
    flipped = weight[tuple(taps)].flip([2 + axis for axis in range(len(phase.axes))])
    by_group = flipped.reshape(groups, -1, *flipped.shape[1:]).transpose(1, 2)
    return by_group.flatten(0, 1).contiguous()


def _outputs(axis: AxisPhase, stride: int) -> slice:
    return slice(axis.first, axis.first + (axis.outputs - 1) * stride + 1, stride)


def _windows(value: Tensor, spans: Sequence[tuple[int, int]]) -> Tensor:
    """Return (start, length) of each spatial dimension, with zeros where that lies outside the tensor."""
    for axis, (start, length) in enumerate(spans):
        size = value.shape[2 + axis]
        low = min(max(start, 0), size)
        high = min(max(start + length, low), size)
        value = value.narrow(2 + axis, low, high - low)
        before = min(max(-start, 0), length)
        after = length - before - (high - low)
        value = F.pad(value, [0, 0] * (value.ndim - 3 - axis) + [before, after])
    return value


def _phase_config(config: OpConfig, number: int, phase: Phase, positions: int) -> OpConfig:
    """Return what is simulated in one phase: a site of its own to the random numbers, with its share of each sample."""
    layout = config.layout
    if layout is not None:
        # Samples lie along the first dimension, so that both counts are multiples of the outputs of a channel.
        parts = layout.stride // positions, layout.elements // positions
        layout = BatchLayout(parts[0] * phase.positions, parts[1] * phase.positions)
    step = row_step(phase.taps, config.read.rows)
    name, array = (f"{whole}/phase{number}" for whole in (config.site, config.array or config.site))
    return replace(config, site=name, array=array, step=step, layout=layout)
