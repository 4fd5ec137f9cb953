"""Help torch.export with a form that fixes the batch although the model does not."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


class EvenChunks(TorchFunctionMode):
    """Cuts a symbolic dimension into chunks of equal, symbolic size.

    ``chunk`` rounds the size up, and how many chunks then come out depends on it, which torch.export takes for a
    property of the example's batch alone. A model that stacks two batches and takes them apart again (RAFT does) means
    equal parts: their size is the dimension divided, and export itself guards that nothing remains.
    """

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in (torch.chunk, Tensor.chunk):
            parts = _parts(*args, **kwargs)
            if parts is not None:
                return parts
        return func(*args, **kwargs)


def _parts(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...] | None:
    """Return the equal parts, or None where the dimension is a number or does not divide in the example."""
    size = input.shape[dim]
    if not isinstance(size, torch.SymInt) or size.node.hint is None or size.node.hint % chunks:
        return None
    return torch.split_with_sizes(input, [size // chunks] * chunks, dim)
