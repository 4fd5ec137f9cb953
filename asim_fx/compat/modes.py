"""What ASiM's modules do in each of its modes, apart from the operation itself.

Train: fake-quantised operands, the float operation, and noise on its result. Inference: integer operands, exact sums,
the same noise. Simulation: the macro.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from asim_fx.compat.arguments import AsimArguments, DigitalCycles, amount, config_of, tile_step
from asim_fx.errors import UsageError
from asim_fx.nn.module import integer_config
from asim_fx.ops.config import Operand
from asim_fx.ops.quantize import Role, dequantize, quantize

Mode = Literal["Train", "Inference", "Simulation"]

_LARGEST_SEED = 2**62


def check_mode(mode: Any, known: tuple[Mode, ...] = get_args(Mode)) -> Mode:
    """Return a mode of ASiM's modules.

    Raises:
        UsageError: there is no such mode.
    """
    for one in known:
        if mode == one:
            return one
    message = f"unknown mode {mode!r}"
    raise UsageError(message, hint=f"one of {', '.join(known)}")


def noise_fraction(percent: Any, what: str) -> float:
    """Return ``trim_noise``, which the constructors take in %, as the fraction that the modules keep.

    Raises:
        UsageError: it is no finite number of 0 or more.
    """
    return amount(percent, what) / 100


@lru_cache(maxsize=4096)
def operation_text(
    arguments: AsimArguments, *, site: str, signed: bool, exact: bool, taps: int, digital_cycles: DigitalCycles
) -> str:
    """Return the configuration of an operation, as the custom ops take it.

    Args:
        arguments: as ``checked`` returns them: the cache cannot tell 4.0 from 4.
        site: what error messages call it.
        signed: whether the streamed operand is signed.
        exact: whether sums are exact integers (Inference) rather than read from a macro (Simulation).
        taps: of a convolution's window; 1 elsewhere.
        digital_cycles: see ``DigitalCycles``.

    Raises:
        UsageError: arguments that exclude each other.
    """
    config = config_of(
        arguments,
        variant="base",
        signed=signed,
        step=tile_step(arguments.nrow, taps),
        digital_cycles=digital_cycles,
        site=site,
        where=site,
    )
    return (integer_config(config) if exact else config).dumps()


def next_draw() -> Tensor:
    """Return [seed, first sample] for one operation, drawn from torch's generator, as dropout draws its masks."""
    return torch.stack([torch.randint(_LARGEST_SEED, ()), torch.zeros((), dtype=torch.int64)])


def fake_quantized(value: Tensor, bits: int, *, signed: bool, site: str, role: Role) -> Tensor:
    """Return what the codes of an operand stand for, in its dtype; the gradient passes as if nothing had happened.

    Raises:
        NumericsError: NaN or infinity.
    """
    operand = Operand(bits, signed)
    with torch.autocast(value.device.type, enabled=False):
        rounded = dequantize(quantize(value, operand, site=site, role=role), operand)
    return rounded.to(value.dtype) + (value - value.detach())


def trimmed(value: Tensor, fraction: float) -> Tensor:
    """Return ``value + value * N(0, fraction^2)``, ASiM's stand-in for the noise of the macro."""
    return value if fraction == 0 else value + value * (torch.randn_like(value) * fraction)


def describe(arguments: AsimArguments, mode: str) -> str:
    """Return the most telling arguments, for a module's ``repr``."""
    return f"mode={mode}, wbit={arguments.wbit}, xbit={arguments.xbit}, adc_prec={arguments.adc_prec}"
