"""One whole operation: quantise both operands, simulate the sums, scale them back."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from asim_fx.errors import NumericsError
from asim_fx.ops.config import OpConfig
from asim_fx.ops.conv import conv_reduction
from asim_fx.ops.die import on_die
from asim_fx.ops.draws import Seed
from asim_fx.ops.engines.choice import engine_for
from asim_fx.ops.linear import linear_reduction
from asim_fx.ops.matmul import matmul_reduction
from asim_fx.ops.quantize import Quantized, quantize, samples_of
from asim_fx.ops.reduction import Reduction

_AT_ONCE = 32768
"""Sums that are scaled together."""


def simulate_conv(
    x: Tensor,
    weight: Tensor,
    config: OpConfig,
    seed: Seed,
    *,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    input_scale: Tensor | None = None,
) -> Tensor:
    """Return the convolution of ``x`` (batch, channels, *spatial) as the hardware computes it, without bias.

    ``padding`` holds (before, after) of each spatial dimension. The result has the dtype of ``x``.
    """
    streamed = quantize(x, config.input, site=config.site, role="input", scale=input_scale)
    stored = quantize(weight, config.weight, site=config.site, role="weight")
    reduction = conv_reduction(streamed.codes, stored.codes, stride, padding, dilation, groups)
    return finish(reduction, streamed, stored, config, seed, x.dtype, channel=1)


def simulate_linear(
    x: Tensor, weight: Tensor, config: OpConfig, seed: Seed, *, input_scale: Tensor | None = None
) -> Tensor:
    """Return ``x @ weight.T`` for ``x`` (..., K) and ``weight`` (N, K) as the hardware computes it, without bias."""
    streamed = quantize(x, config.input, site=config.site, role="input", scale=input_scale)
    stored = quantize(weight, config.weight, site=config.site, role="weight")
    reduction = linear_reduction(streamed.codes, stored.codes)
    return finish(reduction, streamed, stored, config, seed, x.dtype)


def simulate_matmul(
    first: Tensor,
    second: Tensor,
    config: OpConfig,
    seed: Seed,
    *,
    stored_first: bool,
    scales: Tensor | None = None,
) -> Tensor:
    """Return ``first @ second`` as the hardware computes it; batch dimensions broadcast.

    ``scales`` holds the calibrated scales of the streamed and of the stored operand, for ``scale: static``.
    """
    input_scale, weight_scale = (None, None) if scales is None else scales.unbind()
    stored_value, streamed_value = (first, second) if stored_first else (second, first)
    streamed = quantize(streamed_value, config.input, site=config.site, role="input", scale=input_scale)
    stored = quantize(stored_value, config.weight, site=config.site, role="weight", scale=weight_scale)
    left, right = (stored.codes, streamed.codes) if stored_first else (streamed.codes, stored.codes)
    reduction = matmul_reduction(left, right, stored_first=stored_first)
    return finish(reduction, streamed, stored, config, seed, first.dtype)


def finish(
    reduction: Reduction,
    streamed: Quantized,
    stored: Quantized,
    config: OpConfig,
    seed: Seed,
    dtype: torch.dtype,
    *,
    channel: int = -1,
) -> Tensor:
    """Simulate a reduction of codes and return its real values, of shape ``reduction.shape``.

    ``channel`` is the dimension of the result along which a stored operand with a scale for each output has them.
    """
    reduction, config = on_die(reduction, config, seed)
    sums = engine_for(config.engine, reduction.stored.device.type)(reduction, config, seed)
    levels = config.input.levels * config.weight.levels
    by_channel = config.weight.scale == "channel"
    unit = streamed.scale.to(torch.float64)
    if not by_channel:
        unit = unit * stored.scale.to(torch.float64)
    unit = unit / torch.full_like(unit, levels)
    if unit.dim() == 0 and not by_channel:
        return scaled(sums, unit).to(dtype).view(reduction.shape)
    real = sums.to(torch.float64)
    if unit.dim() == 0:
        real = real * unit
    elif config.layout is None:
        message = f"site {config.site}: the samples of the result could not be followed, so it has no scale per sample"
        raise NumericsError(message, hint="use scale: dynamic or scale: static for this site")
    else:
        samples_of(real, config.layout).mul_(unit[:, None])
    result = real.view(reduction.shape)
    if by_channel:
        result.mul_(stored.scale.to(torch.float64).view(-1, *[1] * (result.dim() - 1 - channel % result.dim())))
    return result.to(torch.float32).to(dtype)


def scaled(sums: Tensor, unit: Tensor) -> Tensor:
    """Return flat sums times a float64 number, rounded once, to float32; float32 sums are overwritten."""
    if sums.device.type != "cpu":
        return (sums.to(torch.float64) * unit).to(torch.float32)
    result = sums if sums.dtype == torch.float32 else torch.empty_like(sums, dtype=torch.float32)
    # In parts that the processor keeps at hand: in float64 the whole would have to be fetched again and again.
    for start in range(0, sums.numel(), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        result[part] = sums[part].to(torch.float64) * unit
    return result
