"""ASiM's arguments under its own names, and what they mean here. The table is in docs/numerics.md."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Literal, get_args

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

_SHARED = ("nrow", "hybrid_levels", "voting_levels", "num_samp")
"""Arguments that attention has once, without a prefix."""

_WHOLE = ("wbit", "xbit", "nrow", "adc_prec", "act_enc", "hybrid_levels", "voting_levels", "num_samp")
_NUMBERS = ("rand_noise_sigma", "non_linear_sigma", "non_linear_alpha", "weight_var")
_LEAST = {"hybrid_levels": 0, "voting_levels": 0}
_MOST = {"wbit": 16, "xbit": 16, "adc_prec": 24}
"""What a hardware spec allows too."""


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
    where: str = "cfg",
) -> OpConfig:
    """Translate ASiM's arguments; ``where`` begins the messages of errors.

    Raises:
        UsageError: an argument that has no meaning, or two that exclude each other; both are named.
    """
    arguments = checked(arguments, variant=variant, signed=signed, digital_cycles=digital_cycles, where=where)
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


def checked(
    arguments: AsimArguments,
    *,
    signed: bool,
    variant: str = "base",
    digital_cycles: str = "exact",
    where: str = "cfg",
    op: str = "",
) -> AsimArguments:
    """Return arguments as plain ints and floats, once they are found to mean something.

    Args:
        arguments: as the user gave them.
        signed: whether the streamed operand is signed.
        variant: one of ``VARIANTS``.
        digital_cycles: what digital cycles do.
        where: what the messages of errors begin with.
        op: ``qk`` or ``av`` where messages shall use attention's names.

    Raises:
        UsageError: an argument of the wrong kind or out of range, or two that exclude each other.
    """
    plain: dict[str, Any] = {name: getattr(arguments, name) for name in AsimArguments.__dataclass_fields__}
    for name in _WHOLE:
        if plain[name] is not None or name != "adc_prec":
            value = whole_number(plain[name], f"{where}: {_shown(name, op)}", _LEAST.get(name, 1), _MOST.get(name))
            plain[name] = value
    for name in _NUMBERS:
        plain[name] = amount(plain[name], f"{where}: {_shown(name, op)}")
    found = AsimArguments(**plain)
    _check_choice(found.voting_how, f"{where}: voting_how", get_args(VoteRule))
    _check_choice(digital_cycles, f"{where}: digital_cycles", get_args(DigitalCycles))
    _check_bits(found, signed=signed, parallel=variant == "weight_parallel", where=where, op=op)
    _check_together(found, variant, where)
    return found


def whole_number(value: Any, what: str, least: int, most: int | None = None) -> int:
    """Return an argument as an int.

    Raises:
        UsageError: it is no whole number, or out of range.
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        message = f"{what} is {value!r}, and must be a whole number"
        raise UsageError(message)
    number = int(value)
    if number < least or (most is not None and number > most):
        span = f"at least {least}" if most is None else f"from {least} to {most}"
        message = f"{what} is {number}, and must be {span}"
        raise UsageError(message)
    return number


def amount(value: Any, what: str) -> float:
    """Return an argument as a float.

    Raises:
        UsageError: it is no number, not finite, or negative.
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value) or value < 0:
        message = f"{what} is {value!r}, and must be a finite number of 0 or more"
        raise UsageError(message)
    return float(value)


def whether(value: Any, what: str) -> bool:
    """Return an argument that is True or False.

    Raises:
        UsageError: it is neither.
    """
    if not isinstance(value, bool):
        message = f"{what} is {value!r}, and must be True or False"
        raise UsageError(message)
    return value


def _shown(name: str, op: str) -> str:
    """Return what the user calls an argument."""
    if not op or name in _SHARED:
        return name
    own = {short: name for name, short in _OWN_NAMES[op].items()}
    return f"{op}_{own.get(name, name)}"


def _check_choice(value: Any, what: str, known: tuple[str, ...]) -> None:
    if value not in known:
        message = f"{what} is {value!r}"
        raise UsageError(message, hint=f"one of {', '.join(known)}")


def _check_bits(arguments: AsimArguments, *, signed: bool, parallel: bool, where: str, op: str) -> None:
    for name, bits in (("wbit", arguments.wbit), ("xbit", arguments.xbit if signed else 2)):
        if bits < 2:
            message = f"{where}: {_shown(name, op)} is {bits}, and a signed operand needs at least 2 bits"
            raise UsageError(message)
    most = arguments.xbit - 1 if signed else arguments.xbit
    if arguments.act_enc > most and not parallel:
        message = (
            f"{where}: {_shown('act_enc', op)} is {arguments.act_enc}, and must be at most {most}: "
            f"{_shown('xbit', op)} is {arguments.xbit}"
        )
        raise UsageError(message + (", of which one is the sign" if signed else ""))


def _check_together(arguments: AsimArguments, variant: str, where: str) -> None:
    if arguments.voting_levels and arguments.voting_levels <= arguments.hybrid_levels:
        message = f"{where}: voting_levels {arguments.voting_levels} leaves nothing to vote on above hybrid_levels "
        raise UsageError(message + str(arguments.hybrid_levels), hint="both count from level 0, and digital wins")
    if variant in ("current", "weight_parallel") and arguments.non_linear_sigma:
        message = f"{where}: non_linear_sigma has no meaning in variant {variant}"
        raise UsageError(message, hint="set it to 0")
    if variant == "weight_parallel" and arguments.hybrid_levels:
        message = f"{where}: hybrid_levels has no meaning in variant weight_parallel, which has one cycle"
        raise UsageError(message, hint="set it to 0")
