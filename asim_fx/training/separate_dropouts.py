"""Keep a value apart from what dropout makes of it while a model is captured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_DROPOUTS = frozenset(
    f"{kind}{place}"
    for kind in ("dropout", "dropout1d", "dropout2d", "dropout3d", "feature_dropout", "alpha_dropout")
    for place in ("", "_")
) | {"feature_alpha_dropout"}


class SeparateDropouts(TorchFunctionMode):
    """Gives every dropout a view of its operand while active.

    At inference dropout returns the tensor that it is given. Capture knows values by their tensors, so in ``drop(x) +
    x`` it would take both for the result of the dropout, and training would drop both.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call a function of torch."""
        if getattr(func, "__name__", "") in _DROPOUTS and args and isinstance(args[0], Tensor):
            args = (torch.ops.aten.alias.default(args[0]), *args[1:])
        return func(*args, **(kwargs or {}))
