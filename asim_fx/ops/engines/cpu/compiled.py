"""Numba as this package uses it: kernels that release Python's lock and are compiled once for a machine."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numba
from llvmlite import ir
from numba import types
from numba.core import event
from numba.extending import intrinsic

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

COMPILING = "compiling the CPU engine for this machine: some seconds, once"
"""Logged, level INFO, when a kernel is not found on disk."""


class _Compilations(event.Listener):
    def on_start(self, event: Any) -> None:
        if event.data["dispatcher"].py_func.__module__.startswith(__package__):
            _say_once()

    def on_end(self, event: Any) -> None:
        pass


@cache
def _say_once() -> None:
    logging.getLogger(__name__).info(COMPILING)


event.register("numba:compile", _Compilations())  # type: ignore[no-untyped-call]


def compiled(function: Kernel) -> Kernel:
    """Compile a kernel at its first call and keep the machine code on disk where that can be written.

    No ``fastmath``: every float operation rounds once, in the order that is written, as in the other engines.
    Threads come from outside: a kernel is called once for each part of the work.
    """
    compiler: Any = numba.njit
    try:
        kernel: Kernel = compiler(nogil=True, cache=_can_cache())(function)
    except RuntimeError:  # Numba found no place to write to after all.
        kernel = compiler(nogil=True)(function)
    return kernel


def _can_cache() -> bool:
    """Whether numba has a place for machine code: its own setting, this folder or the user's cache."""
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    folders = [Path(chosen)] if chosen else [Path(__file__).parent, Path.home()]
    return any(os.access(folder, os.W_OK) for folder in folders)


def _instruction(build: Callable[[Any, Any], Any], operands: int) -> Any:
    """Return a function of uint32 operands that is what ``build(builder, operands)`` makes.

    Numba's own operators on uint32 work on 64 bits, half as many lanes.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return build(builder, arguments)

    def of_one(typing: Any, word: Any) -> Any:
        return types.uint32(types.uint32), generate

    def of_two(typing: Any, word: Any, by: Any) -> Any:
        return types.uint32(types.uint32, types.uint32), generate

    return intrinsic(of_one if operands == 1 else of_two)


def _leading_zeros(builder: Any, words: Any) -> Any:
    return builder.ctlz(words[0], ir.Constant(ir.IntType(1), 0))


leading_zeros = _instruction(_leading_zeros, 1)
"""How many bits of a uint32 are clear above the highest that is set; 32 of 0."""
left = _instruction(lambda builder, operands: builder.shl(*operands), 2)
"""Shift a uint32 left by less than 32."""
right = _instruction(lambda builder, operands: builder.lshr(*operands), 2)
"""Shift a uint32 right by less than 32."""
