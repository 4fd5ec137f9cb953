"""The smallest kernel with a loop whose length is read at run time: what a broken interpreter of Triton fails at."""

from __future__ import annotations

import torch
import triton
import triton.language as tl


@triton.jit
def _count(target, length):
    total = 0
    for step in range(length):
        total += step
    tl.store(target, total)


def failure() -> str:
    """Return what Triton says where it cannot interpret the kernel, or the empty string."""
    target = torch.zeros(1, dtype=torch.int64)
    try:
        _count[(1,)](target, 4)
    except triton.runtime.errors.InterpreterError as error:
        return str(error)
    assert int(target) == 6
    return ""
