"""Operations to test with, and what semantics they must have: a slow reference in plain loops."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from asim_fx.encoding import CellLayout
from asim_fx.ir import BatchLayout, input_plane_widths
from asim_fx.ops.config import OpConfig, Operand, ReadEffects


def make_config(
    *,
    rows: int = 31,
    step: int | None = None,
    input_bits: int = 4,
    weight_bits: int = 4,
    signed: bool = False,
    encoding: int = 1,
    adc_bits: int | None = None,
    hybrid: int = 0,
    votes: tuple[int, int, Any] = (0, 1, "mode"),
    layout: BatchLayout | None = None,
    scale: Any = "tensor",
    input_layout: BatchLayout | None = None,
    site: str = "site",
    stored: CellLayout = CellLayout(),  # noqa: B008 (frozen)
    weight_signed: bool = True,
    **effects: Any,
) -> OpConfig:
    widths = input_plane_widths(input_bits, signed=signed, encoding=encoding)
    plan = stored.bit_plan(weight_bits, widths, signed=weight_signed).with_digital(hybrid).with_votes(*votes)
    return OpConfig(
        site=site,
        input=Operand(input_bits, signed, scale, input_layout),
        weight=Operand(weight_bits, weight_signed),
        plan=plan,
        step=step or rows,
        read=ReadEffects(rows, adc_bits, subtracted=stored.subtracts, **effects),
        layout=layout,
        stored=stored,
    )


def codes_of(value: Tensor, operand: Operand) -> tuple[Tensor, float]:
    """Quantise as the formula says, for one scale over the whole tensor; codes are int64."""
    value = value.detach()
    if operand.signed:
        levels = 2 ** (operand.bits - 1) - 1
        scale = value.abs().max() + 1e-7
        codes = torch.round((value.abs() / scale).clamp(0, 1) * levels) * value.sign()
    else:
        levels = 2**operand.bits - 1
        scale = value.max().clamp(min=0) + 1e-7
        codes = torch.round((value / scale).clamp(0, 1) * levels)
    return codes.long(), float(scale.double() / levels)


def fake_quantized(value: Tensor, operand: Operand) -> Tensor:
    codes, step = codes_of(value, operand)
    return codes.double() * step


def reference_sums(x: Tensor, w: Tensor, config: OpConfig) -> Tensor:
    """Add up all cycles of ``x @ w.T`` for int64 codes, one cycle and one tile at a time, without noise. Float64."""
    bits = config.weight.bits
    total = torch.zeros(x.shape[0], w.shape[0], dtype=torch.float64)
    first = 0
    for j, width in enumerate(config.plan.input_widths):
        x_plane = (x >> first) & (2**width - 1)
        x_place = -(2**first) if config.input.signed and j == config.plan.input_planes - 1 else 2**first
        first += width
        for i in range(bits):
            w_plane = (w >> i) & 1
            place = x_place * (-(2**i) if i == bits - 1 else 2**i)
            for start in range(0, x.shape[1], config.step):
                tile = slice(start, start + config.step)
                mac = (x_plane[:, tile, None] * w_plane.T[None, tile]).sum(1)
                full = (2**width - 1) * config.read.rows
                if config.plan.reads[i][j] == 0 or config.read.adc_bits is None:
                    total += place * mac
                else:
                    top = 2**config.read.adc_bits - 1
                    value = (mac.float() / torch.tensor(float(full))).clamp(0, 1)
                    total += place * torch.round(value * top).double() / top * full
    return total
