"""Numba as this package uses it: kernels that release Python's lock and are compiled once for a machine."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def compiled(function: Kernel) -> Kernel:
    """Compile a kernel at its first call and keep the machine code on disk where that can be written.

    No ``fastmath``: every float operation rounds once, in the order that is written, as in the other engines.
    Threads come from outside: a kernel is called once for each part of the work.
    """
    try:
        kernel: Kernel = numba.njit(nogil=True, cache=_can_cache(), boundscheck=False)(function)
    except RuntimeError:  # Numba found no place to write to after all.
        kernel = numba.njit(nogil=True, boundscheck=False)(function)
    return kernel


def _can_cache() -> bool:
    """Whether numba has a place for machine code: its own setting, this folder or the user's cache."""
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    folders = [Path(chosen)] if chosen else [Path(__file__).parent, Path.home()]
    return any(os.access(folder, os.W_OK) for folder in folders)


@intrinsic  # type: ignore[untyped-decorator]
def ones_in(typing: Any, word: Any) -> Any:
    """Return how many bits of a uint32 are set: one instruction where the machine has it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        count = builder.module.declare_intrinsic("llvm.ctpop", [ir.IntType(32)])
        return builder.call(count, arguments)

    return types.uint32(types.uint32), generate


@intrinsic  # type: ignore[untyped-decorator]
def left(typing: Any, word: Any, by: Any) -> Any:
    """Shift a uint32 left by less than 32; Numba's own operator would work on 64 bits, half as many lanes."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.shl(*arguments)

    return types.uint32(types.uint32, types.uint32), generate


@intrinsic  # type: ignore[untyped-decorator]
def right(typing: Any, word: Any, by: Any) -> Any:
    """Shift a uint32 right by less than 32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.lshr(*arguments)

    return types.uint32(types.uint32, types.uint32), generate
