"""asim-fx: compile PyTorch vision models onto SRAM analog compute-in-memory, and simulate the result bit-exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asim_fx.artifact import load
    from asim_fx.calibration import calibrate
    from asim_fx.conversion import ConvertedModel, convert
    from asim_fx.errors import AsimError
    from asim_fx.spec import HardwareSpec, load_spec

__version__ = "0.1.0"

__all__ = [
    "AsimError",
    "ConvertedModel",
    "HardwareSpec",
    "__version__",
    "calibrate",
    "compat",
    "convert",
    "load",
    "load_spec",
]

# Torch takes seconds to import; commands that only read a spec or print help must not wait for it.
_HOMES = {
    "AsimError": "errors",
    "ConvertedModel": "conversion",
    "HardwareSpec": "spec",
    "calibrate": "calibration",
    "convert": "conversion",
    "load": "artifact",
    "load_spec": "spec",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _HOMES:
        return getattr(import_module(f"asim_fx.{_HOMES[name]}"), name)
    if name == "compat":
        return import_module("asim_fx.compat")
    message = f"module 'asim_fx' has no attribute {name!r}"
    raise AttributeError(message)


def __dir__() -> list[str]:
    return sorted(__all__)
