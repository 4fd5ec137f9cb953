"""ASiM's own argument names: run one operation as its published simulator describes it.

The table of names is in docs/numerics.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from torch import Tensor

from asim_fx.errors import UsageError
from asim_fx.ir import BatchLayout, BitPlan, VoteRule, input_plane_widths
from asim_fx.ops.config import OpConfig, Operand, ReadEffects
from asim_fx.ops.conv import output_extent
from asim_fx.ops.draws import Seed
from asim_fx.ops.matmul import broadcast_batch
from asim_fx.ops.operation import simulate_conv, simulate_linear, simulate_matmul

if TYPE_CHECKING:
    from numpy.typing import NDArray

OPS = ("conv", "linear", "qk", "av", "matmul")
VARIANTS = ("base", "current", "weight_parallel", "vote")

_OWN_NAMES = {
    "qk": {"qbit": "wbit", "kbit": "xbit", "k_enc": "act_enc"},
    "av": {"vbit": "wbit", "abit": "xbit", "a_enc": "act_enc"},
}
"""Attention's names, after the prefix ``qk_`` or ``av_``: Q and V are stored, K and the scores are streamed."""


@dataclass(frozen=True, slots=True)
class AsimArguments:
    """ASiM's arguments, under its names; see docs/numerics.md. ``voting_how`` is ours."""

    wbit: int
    xbit: int
    nrow: int
    adc_prec: int | None = None
    act_enc: int = 1
    rand_noise_sigma: float = 0.0
    non_linear_sigma: float = 0.0
    hybrid_levels: int = 0
    voting_levels: int = 0
    num_samp: int = 1
    voting_how: VoteRule = "mode"
    non_linear_alpha: float = 0.0
    weight_var: float = 0.0


def simulate_case(
    case: Mapping[str, Any],
    arrays: Mapping[str, NDArray[Any] | Tensor],
    seed: int = 0,
    *,
    digital_cycles: Literal["exact", "adc"] = "exact",
) -> Tensor:
    """Run one case of the conformance data.

    Args:
        case: ``op`` (conv, linear, qk, av, matmul), ``signed`` (streamed operand), ``variant`` (base, current,
            weight_parallel, vote), ``cfg`` (ASiM's arguments); for conv also ``stride``, ``padding``, ``dilation``,
            ``groups``.
        arrays: ``x``, ``w`` and optionally ``b`` as given to the operation: linear weights are (out, in); qk: x = Q and
            w = K^T; av: x = scores and w = V. The first dimension is the batch.
        seed: of all noise.
        digital_cycles: ``adc`` sends digital (hybrid) cycles through the converter, as the published simulator does.

    Returns:
        The float32 result, bias included.

    Raises:
        UsageError: an unknown op, variant or argument, or arguments that exclude each other.
        NumericsError: NaN or infinity in an operand.
    """
    op, variant = case.get("op"), case.get("variant", "base")
    if op not in OPS:
        message = f"unknown op {op!r}"
        raise UsageError(message, hint=f"one of {', '.join(OPS)}")
    if variant not in VARIANTS:
        message = f"unknown variant {variant!r}"
        raise UsageError(message, hint=f"one of {', '.join(VARIANTS)}")
    x, w = torch.as_tensor(arrays["x"]).float(), torch.as_tensor(arrays["w"]).float()
    arguments = read_arguments(case.get("cfg", {}), op)
    taps = math.prod(w.shape[2:]) if op == "conv" else 1
    # Scores are never negative and K may always be, whatever the case says of "signed".
    signed = op == "qk" or (op != "av" and bool(case.get("signed", True)))
    if (signed and arguments.xbit < 2) or arguments.wbit < 2:
        message = "cfg: a signed operand needs at least 2 bits (wbit; xbit unless unsigned)"
        raise UsageError(message)
    elements = _elements_of_sample(case, x, w)
    config = config_of(
        arguments,
        variant=variant,
        signed=signed,
        step=tile_step(arguments.nrow, taps),
        layout=BatchLayout(elements, elements),
        digital_cycles=digital_cycles,
    )
    draw = Seed(seed)
    if op == "conv":
        geometry = _geometry(case, w.dim() - 2)
        y = simulate_conv(x, w, config, draw, **geometry)
    elif op == "linear":
        y = simulate_linear(x, w, config, draw)
    else:
        y = simulate_matmul(x, w, config, draw, stored_first=op == "qk")
    if arrays.get("b") is None:
        return y
    bias = torch.as_tensor(arrays["b"]).float()
    return y + (bias.view(-1, *[1] * (y.dim() - 2)) if op == "conv" else bias)


def read_arguments(cfg: Mapping[str, Any], op: str) -> AsimArguments:
    """Return ASiM's arguments of one operation; attention takes them with and without its prefix.

    Raises:
        UsageError: an argument that does not exist or is missing.
    """
    own = _OWN_NAMES.get(op, {})
    found: dict[str, Any] = {}
    for name, value in cfg.items():
        short = name.removeprefix(f"{op}_") if own else name
        short = own.get(short, short)
        if short not in AsimArguments.__dataclass_fields__:
            known = ", ".join(AsimArguments.__dataclass_fields__)
            message = f"cfg: unknown argument {name!r} for op {op}"
            raise UsageError(message, hint=f"known: {known}")
        found[short] = value
    missing = [name for name in ("wbit", "xbit", "nrow") if name not in found]
    if missing:
        message = f"cfg: missing {', '.join(missing)} for op {op}"
        raise UsageError(message)
    return AsimArguments(**found)


def tile_step(rows: int, taps: int) -> int:
    """Return how many elements of the reduction one tile covers: whole channels, where a patch of ``taps`` fits."""
    return rows // taps * taps if taps <= rows else rows


def config_of(
    arguments: AsimArguments,
    *,
    variant: str,
    signed: bool,
    step: int,
    layout: BatchLayout | None = None,
    digital_cycles: Literal["exact", "adc"] = "exact",
) -> OpConfig:
    """Translate ASiM's arguments.

    Raises:
        UsageError: two arguments that exclude each other; both are named.
    """
    _check(arguments, variant)
    parallel = variant == "weight_parallel"
    if parallel:
        # The input is applied whole, whatever act_enc says.
        plan = BitPlan.analog(1, (arguments.xbit,))
    else:
        widths = input_plane_widths(arguments.xbit, signed=signed, encoding=arguments.act_enc)
        plan = BitPlan.analog(arguments.wbit, widths).with_digital(arguments.hybrid_levels)
    plan = plan.with_votes(arguments.voting_levels, arguments.num_samp, arguments.voting_how)
    read = ReadEffects(
        rows=arguments.nrow,
        adc_bits=arguments.adc_prec,
        random_percent_fs=arguments.rand_noise_sigma,
        nonlinear_percent_fs=arguments.non_linear_sigma,
        compression_per_mac=arguments.non_linear_alpha,
        cell_variation_percent=arguments.weight_var,
        cell_variation_redrawn=True,
        parallel=parallel,
        digital_cycles=digital_cycles,
    )
    return OpConfig(
        site="compat",
        input=Operand(arguments.xbit, signed),
        weight=Operand(arguments.wbit, True),
        plan=plan,
        step=step,
        read=read,
        layout=layout,
    )


def _check(arguments: AsimArguments, variant: str) -> None:
    for name in ("wbit", "xbit", "nrow", "act_enc", "num_samp"):
        if getattr(arguments, name) < 1:
            message = f"cfg: {name} is {getattr(arguments, name)}, and must be at least 1"
            raise UsageError(message)
    if arguments.adc_prec is not None and arguments.adc_prec < 1:
        message = f"cfg: adc_prec is {arguments.adc_prec}, and must be at least 1"
        raise UsageError(message)
    if arguments.voting_levels and arguments.voting_levels <= arguments.hybrid_levels:
        message = f"cfg: voting_levels {arguments.voting_levels} leaves nothing to vote on above hybrid_levels "
        raise UsageError(message + str(arguments.hybrid_levels), hint="both count from level 0, and digital wins")
    if variant in ("current", "weight_parallel") and arguments.non_linear_sigma:
        message = f"cfg: non_linear_sigma has no meaning in variant {variant}"
        raise UsageError(message, hint="set it to 0")
    if variant == "weight_parallel" and arguments.hybrid_levels:
        message = "cfg: hybrid_levels has no meaning in variant weight_parallel, which has one cycle"
        raise UsageError(message, hint="set it to 0")


def _geometry(case: Mapping[str, Any], dims: int) -> dict[str, Any]:
    def each(name: str, default: int) -> list[int]:
        value: int | Sequence[int] = case.get(name, default)
        return [value] * dims if isinstance(value, int) else list(value)

    padding = [side for pad in each("padding", 0) for side in (pad, pad)]
    return {
        "stride": each("stride", 1),
        "padding": padding,
        "dilation": each("dilation", 1),
        "groups": cast(int, case.get("groups", 1)),
    }


def _elements_of_sample(case: Mapping[str, Any], x: Tensor, w: Tensor) -> int:
    """Return how many elements of the result belong to one sample, the first dimension being the batch."""
    if case["op"] == "linear":
        return max(1, math.prod(x.shape[1:-1]) * w.shape[0])
    if case["op"] != "conv":
        return max(1, math.prod(broadcast_batch(x.shape, w.shape)[1:]) * x.shape[-2] * w.shape[-1])
    geometry = _geometry(case, w.dim() - 2)
    stride, padding, dilation = geometry["stride"], geometry["padding"], geometry["dilation"]
    extents = [
        output_extent(x.shape[2 + d], w.shape[2 + d], stride[d], padding[2 * d], padding[2 * d + 1], dilation[d])
        for d in range(len(stride))
    ]
    return max(1, w.shape[0] * math.prod(extents))
