"""Inputs that do not fit in memory are the user's to change, whatever torch raises about them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod

import torch

from asim_fx.errors import ModelError

_BYTES = torch.float32.itemsize
_MARKS = ("can't allocate memory", "not enough memory", "out of memory", "Storage size calculation overflowed")


@contextmanager
def enough_memory_for(shape: Sequence[int]) -> Iterator[None]:
    """Turn an allocation that fails in the body into words about the input.

    Args:
        shape: of the input, with its batch.

    Raises:
        ModelError: there is not enough memory.
    """
    try:
        yield
    except Exception as error:  # a pass over the graph may wrap what the allocator raised
        refuse_too_large(error, shape)
        raise


def refuse_too_large(error: BaseException, shape: Sequence[int]) -> None:
    """Raise an error about memory where that is what an error, or its cause, is about.

    Raises:
        ModelError: it is.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError | torch.OutOfMemoryError) or any(mark in str(cause) for mark in _MARKS):
            size = "x".join(map(str, shape))
            gigabytes = f"{prod(shape) * _BYTES / 1e9:,.3g} GB"
            msg = f"not enough memory for an input of {size} ({gigabytes}, and what is made of it)"
            hint = "give a smaller --input-size, or only plan: --dry-run --device meta"
            raise ModelError(msg, hint=hint) from error
        cause = cause.__cause__
