"""Symmetric quantisation of one operand, in float32, exactly as ASiM defines it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from asim_fx.errors import NumericsError
from asim_fx.ir import BatchLayout
from asim_fx.ops.config import Operand

SCALE_FLOOR = 1e-7
"""Added to the largest magnitude, so that a tensor of zeros has a scale."""

Role = Literal["input", "weight"]


@dataclass(frozen=True, slots=True)
class Quantized:
    """One operand as integers.

    Attributes:
        codes: float32 holding integers, contiguous, of the operand's shape.
        scale: float32 real value of the largest code; 0-d, one for each sample of the batch, or one for each output of
            a weight.
    """

    codes: Tensor
    scale: Tensor


def samples_of(value: Tensor, layout: BatchLayout) -> Tensor:
    """View a contiguous tensor as (outer, sample, inner), where ``layout`` says the samples lie."""
    return value.view(layout.elements // layout.stride, value.numel() // layout.elements, layout.stride)


def quantize(value: Tensor, operand: Operand, *, site: str, role: Role, scale: Tensor | None = None) -> Quantized:
    """Return the codes of one operand.

    Args:
        value: any shape; computed in float32. With a scale for each channel, channels are the first dimension.
        operand: bits, sign and kind of scale.
        site: for messages.
        role: for messages.
        scale: the calibrated scale of a ``static`` operand, 0-d.

    Raises:
        NumericsError: NaN or infinity, or a static scale that was never calibrated.
    """
    real = value.detach().to(torch.float32).contiguous()
    largest = _largest(real, operand, site, role)
    static = operand.scale == "static"
    used = _calibrated(scale, site, role).to(real.device) if static else largest + SCALE_FLOOR
    magnitudes = torch.abs(real) if operand.signed else real
    # The divisor is a tensor on the device: CUDA multiplies by the reciprocal of a Python number.
    if operand.scale == "channel":
        codes = magnitudes / _along_first(used, magnitudes)
    elif used.dim() and operand.layout:
        codes = magnitudes.clone()
        samples_of(codes, operand.layout).div_(used[:, None])
    else:
        codes = magnitudes / used
    codes.clamp_(0, 1).mul_(operand.levels).round_()
    if operand.signed:
        codes.copysign_(real)
    return Quantized(codes, used)


def dequantize(quantized: Quantized, operand: Operand) -> Tensor:
    """Return the float32 values that the codes stand for; what the straight-through gradient is taken at."""
    step = quantized.scale / torch.full_like(quantized.scale, operand.levels)
    if operand.scale == "channel":
        return quantized.codes * _along_first(step, quantized.codes)
    if step.dim() and operand.layout:
        return (samples_of(quantized.codes, operand.layout) * step[:, None]).view(quantized.codes.shape)
    return quantized.codes * step


def _along_first(scale: Tensor, like: Tensor) -> Tensor:
    return scale.view(-1, *[1] * (like.dim() - 1))


def clipped(value: Tensor, operand: Operand, scale: Tensor | None) -> Tensor | None:
    """Return where a static scale clips ``value``, or None where nothing can be clipped.

    A value above the scale by no more than rounding is not clipped. Where the scale is the bound that the value was
    clamped to, 16-bit precision, dropout and pooling round it to either side, and its gradient is that of the bound.
    """
    if operand.scale != "static" or scale is None:
        return None
    real = value.to(torch.float32)
    limit = scale * (1 + max(_ROUNDING_FLOAT32, 2 * torch.finfo(value.dtype).eps))
    return real.abs() > limit if operand.signed else (real > limit) | (real < 0)


_ROUNDING_FLOAT32 = 1e-5
"""Relative. More than float32 loses in a mean over the positions of an image."""


def _largest(real: Tensor, operand: Operand, site: str, role: Role) -> Tensor:
    whole = _extremes(real, operand, site, role)
    if operand.scale == "channel":
        rows = real.abs() if operand.signed else real.clamp(min=0)
        return rows.flatten(1).amax(dim=1) if real.numel() else real.new_zeros(real.shape[0])
    if operand.scale != "sample" or real.numel() == 0:
        return whole
    if operand.layout is None:
        message = f"site {site}: the samples of the {role} could not be followed, so it has no scale per sample"
        raise NumericsError(message, hint="use scale: dynamic or scale: static for this site")
    high = samples_of(real, operand.layout).amax(dim=(0, 2))
    if not operand.signed:
        return high.clamp(min=0)
    return torch.maximum(high, -samples_of(real, operand.layout).amin(dim=(0, 2)))


def _extremes(real: Tensor, operand: Operand, site: str, role: Role) -> Tensor:
    if real.numel() == 0:
        return real.new_zeros(())
    low, high = torch.aminmax(real)
    # Neither NaN nor infinity survives this difference as a number, so one look at the host is enough.
    if not bool(torch.isfinite(high * 0.5 - low * 0.5)):
        message = f"site {site}: the {role} holds NaN or infinity and cannot be quantised"
        hint = "look for an overflow in the layers before this one"
        raise NumericsError(message, hint=hint if role == "input" else "")
    return torch.maximum(high, -low) if operand.signed else high.clamp(min=0)


def _calibrated(scale: Tensor | None, site: str, role: Role) -> Tensor:
    if scale is None or not bool(torch.isfinite(scale).all()):
        message = f"site {site} has no calibrated scale for its {role}"
        raise NumericsError(message, hint="calibrate the model on some images, or use scale: dynamic")
    if not bool(scale > 0):
        message = f"site {site}: the calibrated scale of its {role} is {float(scale):g}, and must be positive"
        raise NumericsError(message)
    return scale.to(torch.float32).reshape(())
