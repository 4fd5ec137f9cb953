"""ASiM's arguments under its own names, and what they mean here. The table is in docs/numerics.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Literal

from asim_fx.errors import UsageError
from asim_fx.ir import BatchLayout, BitPlan, VoteRule, input_plane_widths
from asim_fx.ops.config import OpConfig, Operand, ReadEffects

DigitalCycles = Literal["exact", "adc"]
"""What digital (hybrid) cycles do: ``adc`` sends them through the converter, as the published simulator does."""

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


def read_arguments(cfg: Mapping[str, Any], op: str) -> AsimArguments:
    """Return ASiM's arguments of one operation; attention takes them with and without its prefix.

    Raises:
        UsageError: an argument that does not exist or is missing.
    """
    own = _OWN_NAMES.get(op, {})
    found: dict[str, Any] = {}
    for name, value in cfg.items():
        if value is None and not name.endswith("adc_prec"):
            continue  # ASiM's word for what is left out
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
    digital_cycles: DigitalCycles = "exact",
    site: str = "compat",
) -> OpConfig:
    """Translate ASiM's arguments.

    Raises:
        UsageError: two arguments that exclude each other; both are named.
    """
    _check(arguments, variant, signed)
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
        site=site,
        input=Operand(arguments.xbit, signed),
        weight=Operand(arguments.wbit, True),
        plan=plan,
        step=step,
        read=read,
        layout=layout,
    )


def _check(arguments: AsimArguments, variant: str, signed: bool) -> None:
    for name in ("wbit", "xbit", "nrow", "adc_prec", "act_enc", "hybrid_levels", "voting_levels", "num_samp"):
        value = getattr(arguments, name)
        if (value is not None or name != "adc_prec") and (isinstance(value, bool) or not isinstance(value, Integral)):
            message = f"cfg: {name} is {value!r}, and must be a whole number"
            raise UsageError(message)
    for name in ("hybrid_levels", "voting_levels"):
        if getattr(arguments, name) < 0:
            message = f"cfg: {name} is {getattr(arguments, name)}, and must be at least 0"
            raise UsageError(message)
    for name in ("wbit", "xbit", "nrow", "act_enc", "num_samp"):
        if getattr(arguments, name) < 1:
            message = f"cfg: {name} is {getattr(arguments, name)}, and must be at least 1"
            raise UsageError(message)
    if (signed and arguments.xbit < 2) or arguments.wbit < 2:
        message = "cfg: a signed operand needs at least 2 bits (wbit; xbit unless unsigned)"
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
