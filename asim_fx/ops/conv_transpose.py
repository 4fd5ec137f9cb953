"""A transposed convolution: each stride phase is a convolution over the taps that it uses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from asim_fx.ir import BatchLayout, ConvGeometry, row_step
from asim_fx.ops.config import OpConfig
from asim_fx.ops.conv import conv_reduction
from asim_fx.ops.draws import Seed
from asim_fx.ops.operation import finish
from asim_fx.ops.quantize import Quantized, quantize
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
    """
    streamed = quantize(x, config.input, site=config.site, role="input", scale=input_scale)
    stored = quantize(weight, config.weight, site=config.site, role="weight")
    extents = [transposed_extent(size, axis, geometry) for axis, size in enumerate(x.shape[2:])]
    result = x.new_zeros((x.shape[0], weight.shape[1] * groups, *extents))
    for number, phase in enumerate(transposed_phases(x.shape[2:], geometry)):
        if not phase.positions or not x.numel():
            continue
        codes = _windows(streamed.codes, [(axis.start, axis.window) for axis in phase.axes])
        taps = Quantized(taps_of(stored.codes, phase, groups), stored.scale)
        ones, zeros = [1] * len(phase.axes), [0] * 2 * len(phase.axes)
        reduction = conv_reduction(codes, taps.codes, ones, zeros, [axis.dilation for axis in phase.axes], groups)
        mine = _phase_config(config, number, phase, result[0, 0].numel())
        values = finish(reduction, streamed, taps, mine, seed, x.dtype)
        steps = zip(phase.axes, geometry.stride, strict=True)
        place: list[Any] = [..., *(_outputs(axis, stride) for axis, stride in steps)]
        result[tuple(place)] = values
    return result


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
