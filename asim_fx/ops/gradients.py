"""Straight-through gradients: the float operation's at the dequantised operands, zero where a static scale clips."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from asim_fx.ir import ConvGeometry
from asim_fx.ops.config import OpConfig, Operand
from asim_fx.ops.conv import pad_spatial
from asim_fx.ops.conv_transpose import inputs_first, outputs_first
from asim_fx.ops.quantize import Role, clipped, dequantize, quantize


def conv_gradients(
    gradient: Tensor,
    x: Tensor,
    weight: Tensor,
    input_scale: Tensor | None,
    config: OpConfig,
    *,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> tuple[Tensor, Tensor]:
    """Return the gradients of both operands of a convolution, in their dtypes."""
    xq = pad_spatial(_rounded(x, config.input, config.site, "input", input_scale), padding)
    wq = _rounded(weight, config.weight, config.site, "weight", None)
    zeros = [0] * len(stride)
    padded_x, of_weight, _ = torch.ops.aten.convolution_backward(
        gradient.to(torch.float32), xq, wq, None, stride, zeros, dilation, False, zeros, groups, [True, True, False]
    )
    inner = tuple(slice(padding[2 * d], padding[2 * d] + x.shape[2 + d]) for d in range(len(stride)))
    of_x = _unclipped(padded_x[(..., *inner)], x, config.input, input_scale)
    return of_x.to(x.dtype).contiguous(), of_weight.to(weight.dtype)


def conv_transpose_gradients(
    gradient: Tensor,
    x: Tensor,
    weight: Tensor,
    input_scale: Tensor | None,
    config: OpConfig,
    *,
    geometry: ConvGeometry,
    groups: int,
) -> tuple[Tensor, Tensor]:
    """Return the gradients of both operands of a transposed convolution, in their dtypes."""
    xq = _rounded(x, config.input, config.site, "input", input_scale)
    wq = _rounded_transposed(weight, config, groups)
    padding = [before for before, _ in geometry.padding]
    of_x, of_weight, _ = torch.ops.aten.convolution_backward(
        gradient.to(torch.float32), xq, wq, None, geometry.stride, padding, geometry.dilation, True,
        geometry.output_padding, groups, [True, True, False],
    )  # fmt: skip
    return _unclipped(of_x, x, config.input, input_scale).to(x.dtype).contiguous(), of_weight.to(weight.dtype)


def linear_gradients(
    gradient: Tensor, x: Tensor, weight: Tensor, input_scale: Tensor | None, config: OpConfig
) -> tuple[Tensor, Tensor]:
    """Return the gradients of both operands of ``x @ weight.T``, in their dtypes."""
    xq = _rounded(x, config.input, config.site, "input", input_scale).reshape(-1, x.shape[-1])
    wq = _rounded(weight, config.weight, config.site, "weight", None)
    flat = gradient.to(torch.float32).reshape(-1, weight.shape[0])
    of_x = _unclipped((flat @ wq).view(x.shape), x, config.input, input_scale)
    return of_x.to(x.dtype), (flat.T @ xq).to(weight.dtype)


def matmul_gradients(
    gradient: Tensor, first: Tensor, second: Tensor, scales: Tensor | None, config: OpConfig, *, stored_first: bool
) -> tuple[Tensor, Tensor]:
    """Return the gradients of both operands of ``first @ second``, in their dtypes; broadcast dimensions are summed."""
    streamed_scale, stored_scale = (None, None) if scales is None else scales.unbind()
    streamed: tuple[Operand, Role, Tensor | None] = (config.input, "input", streamed_scale)
    stored: tuple[Operand, Role, Tensor | None] = (config.weight, "weight", stored_scale)
    left, right = (stored, streamed) if stored_first else (streamed, stored)
    firstq = _rounded(first, left[0], config.site, left[1], left[2])
    secondq = _rounded(second, right[0], config.site, right[1], right[2])
    real = gradient.to(torch.float32)
    of_first = torch.matmul(real, secondq.transpose(-1, -2)).sum_to_size(first.shape)
    of_second = torch.matmul(firstq.transpose(-1, -2), real).sum_to_size(second.shape)
    return (
        _unclipped(of_first, first, left[0], left[2]).to(first.dtype),
        _unclipped(of_second, second, right[0], right[2]).to(second.dtype),
    )


def _rounded(value: Tensor, operand: Operand, site: str, role: Role, scale: Tensor | None) -> Tensor:
    return dequantize(quantize(value, operand, site=site, role=role, scale=scale), operand)


def _rounded_transposed(weight: Tensor, config: OpConfig, groups: int) -> Tensor:
    if config.weight.scale != "channel":
        return _rounded(weight, config.weight, config.site, "weight", None)
    return inputs_first(_rounded(outputs_first(weight, groups), config.weight, config.site, "weight", None), groups)


def _unclipped(gradient: Tensor, value: Tensor, operand: Operand, scale: Tensor | None) -> Tensor:
    outside = clipped(value, operand, scale)
    return gradient if outside is None else gradient.masked_fill(outside, 0)
