"""The training proxy: operands rounded as the hardware rounds them, a float operation, and noise on its result.

Source: ASiM's training mode (arXiv:2411.11022); the gradient is straight-through: that of the float operation at the
rounded operands, zero where a static scale clips.
"""

from __future__ import annotations

import torch
from torch import Tensor

from asim_fx.ops.config import Operand
from asim_fx.ops.philox import mix64
from asim_fx.ops.quantize import Role, clipped, dequantize, quantize


def fake_quantized(value: Tensor, operand: Operand, *, site: str, role: Role, scale: Tensor | None = None) -> Tensor:
    """Return the values that the codes of an operand stand for, in its dtype; the gradient passes to ``value``.

    Args:
        value: any shape.
        operand: bits, sign and kind of scale.
        site: for messages.
        role: for messages.
        scale: the calibrated or learned scale of a ``static`` operand, 0-d; a constant to the gradient.

    Raises:
        NumericsError: NaN or infinity, or a static scale that is not known.
    """
    with torch.autocast(value.device.type, enabled=False):
        rounded = dequantize(quantize(value, operand, site=site, role=role, scale=scale), operand)
        outside = clipped(value.detach(), operand, scale)
    passing = value if outside is None else value.masked_fill(outside, 0)
    return rounded.to(value.dtype) + (passing - passing.detach())


def trimmed(value: Tensor, percent: float, rng: Tensor, stream: int, *, additive: bool = False) -> Tensor:
    """Return ``value + size * N(0, (percent / 100)^2)``, a new draw for each element.

    Args:
        value: the result of an operation.
        percent: standard deviation in % of the size; 0 draws nothing.
        rng: int64 [seed, first sample, ...]: the draw is the same for the same seed, first sample and site.
        stream: 32 bits that tell this site from others.
        additive: whether the size is the root mean square of all values at hand, a constant to the gradient, as reads
            add noise to small sums and large ones alike; otherwise it is each value itself (ASiM's trim noise).
    """
    if not percent:
        return value
    seed, first_sample = rng.tolist()[:2]
    generator = torch.Generator(value.device).manual_seed(mix64(seed ^ mix64(first_sample ^ mix64(stream))) >> 1)
    noise = torch.randn(value.shape, generator=generator, device=value.device, dtype=torch.float32)
    size = value.detach().square().mean().sqrt() if additive else value
    return value + size * (noise * (percent / 100)).to(value.dtype)
