"""Which engine computes an operation. The one place that names them all.

A new engine is a function with the signature of ``plain.simulate`` that gives the same bits, and a line in each
function below.
"""

from __future__ import annotations

import warnings
from functools import cache
from importlib import metadata, util
from typing import TYPE_CHECKING, Literal, Protocol

from asim_fx.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from asim_fx.ops.config import OpConfig
    from asim_fx.ops.draws import Seed
    from asim_fx.ops.reduction import Reduction

EngineChoice = Literal["auto", "torch", "cpu", "cuda"]
"""What a spec may ask for."""
EngineName = Literal["torch", "cpu", "cuda"]

NO_NUMBA = "numba is not installed: the CPU engine is not available, and the plain one in torch runs, many times slower"


class Simulate(Protocol):
    """What an engine is."""

    def __call__(self, reduction: Reduction, config: OpConfig, seed: Seed) -> Tensor:
        """Return the sums of an operation: float64, flat, row-major."""
        ...


def engine_for(choice: EngineChoice, device: str) -> Simulate:
    """Return the engine for operands on a kind of device (``cpu``, ``cuda`` ...).

    Raises:
        UsageError: the choice is for another device, or cannot run here.
    """
    match engine_name(choice, device):
        case "cpu":
            from asim_fx.ops.engines.cpu.engine import simulate as engine
        case "cuda":
            from asim_fx.ops.engines.cuda.engine import simulate as engine
        case _:
            if choice == "auto" and device == "cpu":
                _notice_once(NO_NUMBA)
            from asim_fx.ops.engines.plain import simulate as engine
    found: Simulate = engine
    return found


def engine_name(choice: EngineChoice, device: str) -> EngineName:
    """Return which engine runs.

    Raises:
        UsageError: the choice is for another device, or cannot run here.
    """
    if choice == "auto":
        return device if device in ("cpu", "cuda") and not _lacking(device) else "torch"  # type: ignore[return-value]
    if choice == "torch":
        return choice
    if choice != device:
        message = f"engine: {choice} cannot compute what lies on the device {device}"
        raise UsageError(message, hint="use engine: auto or engine: torch")
    if lacking := _lacking(choice):
        message = f"engine: {choice} cannot run: {lacking}"
        raise UsageError(message, hint="use engine: auto or engine: torch")
    return choice


def describe(choice: EngineChoice, device: str = "cpu") -> str:
    """Say which engine runs on a kind of device, and why."""
    if choice not in ("auto", "torch", device):
        return f"{choice} ({_lacking(choice) or 'as chosen'})"
    name = engine_name(choice, device)
    if name == "cpu":
        return f"cpu (numba {metadata.version('numba')})"
    if name == "torch":
        return "torch (as chosen)" if choice == "torch" else f"torch ({_lacking(device)})"
    return name


def _lacking(name: str) -> str:
    """Return what an engine lacks to run here, or the empty string."""
    if name == "cpu":
        return "" if has_numba() else "numba is not installed"
    if name == "cuda":
        return "" if util.find_spec("triton") else "Triton is not installed"
    return f"there is no engine for {name}"


def has_numba() -> bool:
    """Return whether numba can be imported; it is not imported."""
    return util.find_spec("numba") is not None


@cache
def _notice_once(text: str) -> None:
    warnings.warn(text, stacklevel=2)
