"""Rectifiers with a learned upper bound (PACT, arXiv:1805.06085), for models whose weights were trained with them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asim_fx.errors import CheckpointError

ALPHA = "alpha"
"""Name of the bound, in ASiM's checkpoints and here."""

ALPHA_START = 6.0

BOUNDS = "pact_alphas"
"""Key in the metadata of a safetensors file: a JSON object of bounds by name of the rectifier."""


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


def place_bounds(model: nn.Module, bounds: Mapping[str, float]) -> nn.Module:
    """Put a ``Pact`` with its bound in the place of each rectifier that has one, in place.

    Args:
        model: changed.
        bounds: by qualified name of an ``nn.ReLU``, as ``rectifiers_of`` returns them.
    """
    for name, bound in bounds.items():
        parent, _, leaf = name.rpartition(".")
        placed = Pact()
        placed.alpha.data.fill_(bound)
        setattr(model.get_submodule(parent), leaf, placed)
    return model


def rectifiers_of(model: nn.Module, bounds: Mapping[str, float]) -> dict[str, float]:
    """Return bounds by the names that a model's own rectifiers have.

    timm's blocks have ``act1``, ``act2`` ... where torchvision's and ASiM's call one ``relu`` several times, and its
    VGGs have ``pre_logits.act1`` and ``act2`` for ``classifier.1`` and ``4``.

    Raises:
        CheckpointError: the model has no such rectifier.
    """
    known = {name for name, module in model.named_modules() if isinstance(module, nn.ReLU)}
    found: dict[str, float] = {}
    for name, bound in bounds.items():
        names = [other for other in _names_of(name) if other in known]
        if not names:
            msg = f"the checkpoint bounds the rectifier {name}, which the model does not have"
            raise CheckpointError(msg, hint="give the model that the weights were imported for")
        found |= dict.fromkeys(names, bound)
    return found


def _names_of(name: str) -> list[str]:
    stem, _, leaf = name.rpartition(".")
    before = f"{stem}." if stem else ""
    if leaf == "relu":
        return [name, *(f"{before}act{number}" for number in (1, 2, 3))]
    return [name, *{"classifier.1": ["pre_logits.act1"], "classifier.4": ["pre_logits.act2"]}.get(name, [])]
