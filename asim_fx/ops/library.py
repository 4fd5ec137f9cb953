"""The operations as ``torch.library`` custom ops: ``asim::conv``, ``asim::linear``, ``asim::matmul`` and so on.

They have gradients, so a converted model can be deep-copied, exported, compiled and trained. Configurations travel as
canonical strings, the seed and calibrated scales as tensors, so that an exported program can be reseeded and
recalibrated.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from asim_fx.ir import ConvGeometry
from asim_fx.ops.config import loads
from asim_fx.ops.conv import check_conv, output_extents
from asim_fx.ops.conv_transpose import check_conv_transpose, simulate_conv_transpose
from asim_fx.ops.draws import Seed
from asim_fx.ops.gradients import conv_gradients, conv_transpose_gradients, linear_gradients, matmul_gradients
from asim_fx.ops.linear import check_linear
from asim_fx.ops.matmul import broadcast_batch, check_matmul
from asim_fx.ops.operation import simulate_conv, simulate_linear, simulate_matmul
from asim_fx.phases import transposed_extent

_GEOMETRY = "str config, int[] stride, int[] padding, int[] dilation, int groups"
_TRANSPOSED = "str config, int[] stride, int[] padding, int[] dilation, int[] output_padding, int groups"


def _seed(rng: Tensor) -> Seed:
    """Return what a pass draws from: [seed, first sample], and the die where there is a third number above -1."""
    seed, first_sample, *die = rng.tolist()
    return Seed(seed, first_sample, die[0] if die and die[0] >= 0 else None)


def _full_precision(value: Tensor) -> torch.autocast:
    """Keep autocast out of the arithmetic: codes are integers that float16 cannot hold."""
    return torch.autocast(value.device.type, enabled=False)


@torch.library.custom_op(
    "asim::conv",
    mutates_args=(),
    schema=f"(Tensor x, Tensor weight, Tensor rng, Tensor? input_scale, {_GEOMETRY}) -> Tensor",
)
def conv(
    x: Tensor,
    weight: Tensor,
    rng: Tensor,
    input_scale: Tensor | None,
    config: str,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> Tensor:
    """Return a simulated convolution without bias.

    Args:
        x: (batch, channels, *spatial), any floating dtype, which is also the result's.
        weight: (outputs, channels / groups, *kernel).
        rng: int64 [seed, first sample].
        input_scale: calibrated scale of ``x``, 0-d, for ``scale: static``.
        config: ``OpConfig.dumps()``.
        stride: one for each spatial dimension.
        padding: (before, after) of each spatial dimension.
        dilation: one for each spatial dimension.
        groups: as in ``torch.nn.functional.conv2d``.

    Raises:
        InputError: the shapes of the operands do not fit.
        NumericsError: NaN, infinity, or a missing scale.
    """
    with _full_precision(x):
        return simulate_conv(
            x,
            weight,
            loads(config),
            _seed(rng),
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
            input_scale=input_scale,
        )


@conv.register_fake
def _(
    x: Tensor,
    weight: Tensor,
    rng: Tensor,
    input_scale: Tensor | None,
    config: str,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> Tensor:
    check_conv(x.shape, weight.shape, len(stride), groups)
    extents = output_extents(x.shape, weight.shape, stride, padding, dilation)
    return x.new_empty((x.shape[0], weight.shape[0], *extents))


@torch.library.custom_op(
    "asim::conv_backward",
    mutates_args=(),
    schema=f"(Tensor gradient, Tensor x, Tensor weight, Tensor? input_scale, {_GEOMETRY}) -> (Tensor, Tensor)",
)
def conv_backward(
    gradient: Tensor,
    x: Tensor,
    weight: Tensor,
    input_scale: Tensor | None,
    config: str,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> tuple[Tensor, Tensor]:
    """Return the straight-through gradients of ``x`` and ``weight``."""
    with _full_precision(x):
        return conv_gradients(
            gradient,
            x,
            weight,
            input_scale,
            loads(config),
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
        )


@torch.library.custom_op(
    "asim::conv_transpose",
    mutates_args=(),
    schema=f"(Tensor x, Tensor weight, Tensor rng, Tensor? input_scale, {_TRANSPOSED}) -> Tensor",
)
def conv_transpose(
    x: Tensor,
    weight: Tensor,
    rng: Tensor,
    input_scale: Tensor | None,
    config: str,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    output_padding: Sequence[int],
    groups: int,
) -> Tensor:
    """Return a simulated transposed convolution without bias.

    ``weight`` is (channels, outputs / groups, *kernel); ``padding`` and ``output_padding`` have one entry for each
    spatial dimension, as in ``torch.nn.functional.conv_transpose2d``. All else as in ``conv``.
    """
    geometry = _transposed(weight, stride, padding, dilation, output_padding)
    with _full_precision(x):
        return simulate_conv_transpose(
            x, weight, loads(config), _seed(rng), geometry=geometry, groups=groups, input_scale=input_scale
        )


def _transposed(
    weight: Tensor,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    output_padding: Sequence[int],
) -> ConvGeometry:
    pairs = tuple((amount, amount) for amount in padding)
    return ConvGeometry(tuple(weight.shape[2:]), tuple(stride), pairs, tuple(dilation), tuple(output_padding))


@conv_transpose.register_fake
def _(
    x: Tensor,
    weight: Tensor,
    rng: Tensor,
    input_scale: Tensor | None,
    config: str,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    output_padding: Sequence[int],
    groups: int,
) -> Tensor:
    check_conv_transpose(x.shape, weight.shape, len(stride), groups)
    geometry = _transposed(weight, stride, padding, dilation, output_padding)
    extents = [transposed_extent(size, axis, geometry) for axis, size in enumerate(x.shape[2:])]
    return x.new_empty((x.shape[0], weight.shape[1] * groups, *extents))


@torch.library.custom_op(
    "asim::conv_transpose_backward",
    mutates_args=(),
    schema=f"(Tensor gradient, Tensor x, Tensor weight, Tensor? input_scale, {_TRANSPOSED}) -> (Tensor, Tensor)",
)
def conv_transpose_backward(
    gradient: Tensor,
    x: Tensor,
    weight: Tensor,
    input_scale: Tensor | None,
    config: str,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    output_padding: Sequence[int],
    groups: int,
) -> tuple[Tensor, Tensor]:
    """Return the straight-through gradients of ``x`` and ``weight``."""
    geometry = _transposed(weight, stride, padding, dilation, output_padding)
    with _full_precision(x):
        return conv_transpose_gradients(
            gradient, x, weight, input_scale, loads(config), geometry=geometry, groups=groups
        )


@torch.library.custom_op(
    "asim::linear",
    mutates_args=(),
    schema="(Tensor x, Tensor weight, Tensor rng, Tensor? input_scale, str config) -> Tensor",
)
def linear(x: Tensor, weight: Tensor, rng: Tensor, input_scale: Tensor | None, config: str) -> Tensor:
    """Return a simulated ``x @ weight.T`` without bias; ``x`` is (..., K), ``weight`` (N, K). See ``conv``."""
    with _full_precision(x):
        return simulate_linear(x, weight, loads(config), _seed(rng), input_scale=input_scale)


@linear.register_fake
def _(x: Tensor, weight: Tensor, rng: Tensor, input_scale: Tensor | None, config: str) -> Tensor:
    check_linear(x.shape, weight.shape)
    return x.new_empty((*x.shape[:-1], weight.shape[0]))


@torch.library.custom_op(
    "asim::linear_backward",
    mutates_args=(),
    schema="(Tensor gradient, Tensor x, Tensor weight, Tensor? input_scale, str config) -> (Tensor, Tensor)",
)
def linear_backward(
    gradient: Tensor, x: Tensor, weight: Tensor, input_scale: Tensor | None, config: str
) -> tuple[Tensor, Tensor]:
    """Return the straight-through gradients of ``x`` and ``weight``."""
    with _full_precision(x):
        return linear_gradients(gradient, x, weight, input_scale, loads(config))


@torch.library.custom_op(
    "asim::matmul",
    mutates_args=(),
    schema="(Tensor first, Tensor second, Tensor rng, Tensor? scales, str config, bool stored_first) -> Tensor",
)
def matmul(
    first: Tensor, second: Tensor, rng: Tensor, scales: Tensor | None, config: str, stored_first: bool
) -> Tensor:
    """Return a simulated ``first @ second``; batch dimensions broadcast as in ``torch.matmul``.

    Args:
        first: (..., M, K).
        second: (..., K, N).
        rng: int64 [seed, first sample].
        scales: calibrated scales [streamed, stored], for ``scale: static``.
        config: ``OpConfig.dumps()``.
        stored_first: whether the first operand is stored and the second streamed (QK^T).
    """
    with _full_precision(first):
        return simulate_matmul(first, second, loads(config), _seed(rng), stored_first=stored_first, scales=scales)


@matmul.register_fake
def _(first: Tensor, second: Tensor, rng: Tensor, scales: Tensor | None, config: str, stored_first: bool) -> Tensor:
    check_matmul(first.shape, second.shape)
    batch = broadcast_batch(first.shape, second.shape)
    return first.new_empty((*batch, first.shape[-2], second.shape[-1]))


@torch.library.custom_op(
    "asim::matmul_backward",
    mutates_args=(),
    schema="(Tensor gradient, Tensor first, Tensor second, Tensor? scales, str config, bool stored_first)"
    " -> (Tensor, Tensor)",
)
def matmul_backward(
    gradient: Tensor, first: Tensor, second: Tensor, scales: Tensor | None, config: str, stored_first: bool
) -> tuple[Tensor, Tensor]:
    """Return the straight-through gradients of both operands."""
    with _full_precision(first):
        return matmul_gradients(gradient, first, second, scales, loads(config), stored_first=stored_first)


@conv_backward.register_fake
@conv_transpose_backward.register_fake
@linear_backward.register_fake
@matmul_backward.register_fake
def _(gradient: Tensor, one: Tensor, other: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    return one.new_empty(one.shape), other.new_empty(other.shape)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    one, other, _rng, scale, *settings = inputs
    ctx.save_for_backward(one, other, scale)
    ctx.settings = settings


def _conv_backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
    x, weight, scale = ctx.saved_tensors
    return (*torch.ops.asim.conv_backward(gradient, x, weight, scale, *ctx.settings), *[None] * 7)


def _conv_transpose_backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
    x, weight, scale = ctx.saved_tensors
    return (*torch.ops.asim.conv_transpose_backward(gradient, x, weight, scale, *ctx.settings), *[None] * 8)


def _linear_backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
    x, weight, scale = ctx.saved_tensors
    return (*torch.ops.asim.linear_backward(gradient, x, weight, scale, *ctx.settings), *[None] * 3)


def _matmul_backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
    first, second, scales = ctx.saved_tensors
    return (*torch.ops.asim.matmul_backward(gradient, first, second, scales, *ctx.settings), *[None] * 4)


conv.register_autograd(_conv_backward, setup_context=_save)
conv_transpose.register_autograd(_conv_transpose_backward, setup_context=_save)
linear.register_autograd(_linear_backward, setup_context=_save)
matmul.register_autograd(_matmul_backward, setup_context=_save)
