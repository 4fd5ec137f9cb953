"""Operations to compare the CUDA engine on, as plain values that pass between processes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from asim_fx.ir import BatchLayout
from asim_fx.ops.config import OpConfig
from asim_fx.ops.conv import conv_reduction
from asim_fx.ops.die import on_die
from asim_fx.ops.draws import Seed
from asim_fx.ops.engines import plain
from asim_fx.ops.linear import linear_reduction
from asim_fx.ops.matmul import matmul_reduction
from asim_fx.ops.reduction import Reduction
from tests.ops.configs import make_config


@dataclass(frozen=True)
class Case:
    """One operation.

    Attributes:
        kind: linear, conv, qk or av.
        shape: linear: vectors, K, outputs. conv: samples, channels, height, outputs, kernel, stride, padding, groups.
            qk, av: heads, rows, K, columns.
        options: of ``make_config``.
        by_sample: whether samples are told apart.
        first_sample: of the batch.
        working_bytes: of the CUDA engine, where not its own.
    """

    kind: str
    shape: tuple[int, ...]
    options: dict[str, Any] = field(default_factory=dict)
    by_sample: bool = True
    first_sample: int = 0
    working_bytes: int = 0


def codes(shape: tuple[int, ...], bits: int, signed: bool, seed: int) -> Tensor:
    top = 2 ** (bits - 1) - 1 if signed else 2**bits - 1
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-top if signed else 0, top + 1, shape, generator=generator).float()


def build(case: Case, device: str) -> tuple[Reduction, OpConfig]:
    options = case.options
    bits, signed = options.get("input_bits", 4), options.get("signed", False)
    weight_bits = options.get("weight_bits", 4)

    def streamed(*shape: int) -> Tensor:
        return codes(shape, bits, signed, 1).to(device)

    def stored(*shape: int) -> Tensor:
        return codes(shape, weight_bits, True, 2).to(device)

    if case.kind == "linear":
        vectors, length, outputs = case.shape
        reduction = linear_reduction(streamed(vectors, length), stored(outputs, length))
        samples = vectors
    elif case.kind == "conv":
        samples, channels, height, outputs, kernel, stride, padding, groups = case.shape
        x, w = streamed(samples, channels, height, 5), stored(outputs, channels // groups, kernel, kernel)
        reduction = conv_reduction(x, w, [stride, 1], [padding] * 4, [1, 1], groups)
    else:
        heads, rows, length, columns = case.shape
        samples = 1
        first, second = (heads, rows, length), (heads, length, columns)
        pair = (stored(*first), streamed(*second)) if case.kind == "qk" else (streamed(*first), stored(*second))
        reduction = matmul_reduction(*pair, stored_first=case.kind == "qk")
    each = reduction.numel // samples
    config = make_config(layout=BatchLayout(each, each) if case.by_sample else None, **options)
    return on_die(reduction, config, Seed(5, case.first_sample))


def plain_sums(case: Case, device: str = "cpu") -> Tensor:
    return plain.simulate(*build(case, device), Seed(5, case.first_sample))


def cuda_sums(case: Case, device: str = "cpu") -> Tensor:
    """Return what the CUDA engine makes of a case; on the CPU where Triton interprets."""
    from asim_fx.ops.engines.cuda.engine import simulate

    settings = {"working_bytes": case.working_bytes} if case.working_bytes else {}
    return simulate(*build(case, device), Seed(5, case.first_sample), **settings)
