"""Stochastic depth of timm and torchvision, as capture gets to see it."""

from __future__ import annotations

import pytest
from timm.layers import DropPath
from torch import nn
from torchvision.ops import StochasticDepth

from asim_fx.nn.trainable import VisibleBatchDropPath, VisibleDropPath, VisibleUnscaledDropPath
from asim_fx.training.drop_path import hidden_dropouts, with_visible_drop_paths


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (DropPath(0.3), VisibleDropPath),
        (DropPath(0.3, scale_by_keep=False), VisibleUnscaledDropPath),
        (StochasticDepth(0.3, "row"), VisibleDropPath),
        (StochasticDepth(0.3, "batch"), VisibleBatchDropPath),
    ],
)
def test_every_kind_is_made_visible_in_a_copy(path: nn.Module, kind: type[nn.Module]) -> None:
    model = nn.Sequential(nn.ReLU(), path)
    visible = with_visible_drop_paths(model)
    assert type(visible[1]) is kind
    assert visible[1].share == 0.3
    assert model[1] is path


def test_what_drops_nothing_stays() -> None:
    assert isinstance(with_visible_drop_paths(nn.Sequential(DropPath(0.0)))[0], DropPath)


def test_dropout_within_fused_attention_is_named() -> None:
    model = nn.ModuleDict(
        {"a": nn.MultiheadAttention(4, 2, dropout=0.1), "b": nn.MultiheadAttention(4, 2), "c": nn.Dropout(0.5)}
    )
    assert hidden_dropouts(model) == ["a"]
