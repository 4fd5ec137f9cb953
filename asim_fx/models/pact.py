"""Rectifiers with a learned upper bound (PACT, arXiv:1805.06085), for models whose weights were trained with them."""

from __future__ import annotations

from collections.abc import Collection

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ALPHA = "alpha"
"""Name of the bound, in ASiM's checkpoints and here."""

ALPHA_START = 6.0


class Pact(nn.Module):
    """``clamp(x, 0, alpha)``; the gradient of alpha is the sum of the gradient where ``x`` is above it."""

    def __init__(self) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.tensor(ALPHA_START))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` between 0 and alpha."""
        return F.relu(torch.minimum(x, self.alpha))  # relu last: that the result is never negative can be seen


def bound_rectifiers(model: nn.Module, *, but: Collection[str] = ()) -> nn.Module:
    """Put a ``Pact`` in the place of every ``nn.ReLU`` of a model, in place.

    Args:
        model: changed.
        but: qualified names of those that stay.
    """
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.ReLU) and name not in but:
            parent, _, leaf = name.rpartition(".")
            setattr(model.get_submodule(parent), leaf, Pact())
    return model
