"""Make the stochastic depth of a model visible to capture, which sees a model as it is at inference."""

from __future__ import annotations

import copy

import torch.nn.functional as F
from torch import Tensor, nn

_CLASSES = ("DropPath", "StochasticDepth")
"""Of timm and of torchvision."""


class VisibleDropPath(nn.Module):
    """Stands for stochastic depth: a dropout that does nothing at inference but appears in the graph."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x``."""
        return F.dropout(x, self.share, training=False)


def with_visible_drop_paths(model: nn.Module) -> nn.Module:
    """Return a copy in which every active stochastic depth is a ``VisibleDropPath``."""
    model = copy.deepcopy(model)
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            share = float(getattr(child, "drop_prob", getattr(child, "p", 0.0)) or 0.0)
            if type(child).__name__ in _CLASSES and share:
                setattr(parent, name, VisibleDropPath(share))
    return model


def hidden_dropouts(model: nn.Module) -> list[str]:
    """Return the attention layers whose dropout lies within a fused operation, where training leaves it out."""
    found = []
    for name, module in model.named_modules():
        inner = getattr(module, "attn_drop", None)
        share = getattr(inner, "p", 0.0) if getattr(module, "fused_attn", False) else 0.0
        if isinstance(module, nn.MultiheadAttention):
            share = module.dropout
        if share:
            found.append(name)
    return found
