"""Help torch.export with the last states of an LSTM, which have an extra dimension in the traces of some torches."""

from __future__ import annotations

from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from asim_fx.graph.edit import aten


class StateShapes(TorchFunctionMode):
    """Gives the last states of an LSTM the shapes of its first states.

    They have them whenever the LSTM runs. While torch 2.11 traces one, they are (layers, 1, batch, width) instead of
    (layers, batch, width), and what the model makes of them is traced with wrong shapes or fails.
    """

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        # The other form of the call, for packed sequences, has the first states in third place.
        if func not in (torch.lstm, aten.lstm.input, aten.lstm) or not isinstance(args[1], (list, tuple)):
            return result
        output, *last = result
        return output, *(
            state if state.ndim == first.ndim else state.reshape(first.shape)
            for state, first in zip(last, args[1], strict=True)
        )
