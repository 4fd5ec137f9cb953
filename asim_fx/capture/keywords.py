"""Help torch.export with keyword arguments that a model collects in ``**kwargs``."""

from __future__ import annotations

import inspect
from typing import Any

from torch import nn


def spell_out_keywords(model: nn.Module, named: dict[str, Any]) -> dict[str, Any]:
    """Make what ``**kwargs`` collects parameters of ``forward``: torch 2.11 cannot give them a symbolic batch.

    Args:
        model: changed where its ``forward`` collects some of these arguments.
        named: arguments by the names of ``forward``.

    Returns:
        the arguments by the names of the new ``forward``.
    """
    forward, signature = model.forward, inspect.signature(model.forward)
    collecting = next((each for each in signature.parameters.values() if each.kind is each.VAR_KEYWORD), None)
    if collecting is None or collecting.name not in named:
        return named
    collected: dict[str, Any] = named[collecting.name]
    others = [each for each in signature.parameters.values() if each is not collecting]

    def spelled_out(*args: Any, **kwargs: Any) -> Any:
        return forward(*args, **kwargs)

    parameters = [*others, *(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in collected)]
    spelled_out.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    model.forward = spelled_out
    return {name: value for name, value in named.items() if name != collecting.name} | collected
