"""Make the stochastic depth of a model visible to capture, which sees a model as it is at inference."""

from __future__ import annotations

import copy

from torch import nn

from asim_fx.nn.trainable import VisibleBatchDropPath, VisibleDropPath, VisibleUnscaledDropPath

_CLASSES = ("DropPath", "StochasticDepth")
"""Of timm and of torchvision."""


def with_visible_drop_paths(model: nn.Module) -> nn.Module:
    """Return a copy in which every active stochastic depth is a ``VisibleDropPath`` of its kind."""
    model = copy.deepcopy(model)
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            share = float(getattr(child, "drop_prob", getattr(child, "p", 0.0)) or 0.0)
            if type(child).__name__ in _CLASSES and share:
                setattr(parent, name, _kind_of(child)(share))
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


def _kind_of(path: nn.Module) -> type[VisibleDropPath]:
    if getattr(path, "mode", "row") == "batch":  # torchvision
        return VisibleBatchDropPath
    return VisibleDropPath if getattr(path, "scale_by_keep", True) else VisibleUnscaledDropPath  # timm
