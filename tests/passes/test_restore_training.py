"""What trains after the pass, and what stays as it was captured."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asim_fx.conversion import convert
from asim_fx.converted import ConvertedModel
from asim_fx.nn.trainable import (
    Drop,
    DropPath,
    ScaledBound,
    TrainableNorm,
    VisibleBatchDropPath,
    VisibleDropPath,
    VisibleUnscaledDropPath,
)
from asim_fx.spec import load_spec


def trainable(model: nn.Module, *shape: int, pact: bool = False) -> ConvertedModel:
    spec = load_spec("generic-255x8b")
    return convert(model.eval(), spec, (torch.randn(2, *shape),), fold_batch_norm=False, pact=pact, trainable=True)


def modules(net: nn.Module, kind: type[nn.Module]) -> list[nn.Module]:
    return [module for module in net.modules() if isinstance(module, kind)]


def test_norms_and_dropouts_are_called_as_modules() -> None:
    net = trainable(nn.Sequential(nn.Conv1d(2, 3, 1), nn.BatchNorm1d(3, momentum=0.3), nn.Dropout(0.2)), 2, 5)
    assert [(norm.momentum, norm.eps) for norm in modules(net, TrainableNorm)] == [(0.3, 1e-5)]
    assert [drop.share for drop in modules(net, Drop)] == [0.2]


@pytest.mark.parametrize(
    ("kind", "by_sample", "scaled"),
    [(VisibleDropPath, True, True), (VisibleBatchDropPath, False, True), (VisibleUnscaledDropPath, True, False)],
)
def test_each_kind_of_stochastic_depth_is_recognised(
    kind: type[VisibleDropPath], by_sample: bool, scaled: bool
) -> None:
    net = trainable(nn.Sequential(nn.Linear(3, 4), kind(0.3)), 3)
    (path,) = modules(net, DropPath)
    assert (path.share, path.by_sample, path.scaled) == (0.3, by_sample, scaled)


class Bounded(nn.Module):
    """A site reads a bounded value through two dropouts and pooling, another one reads it directly."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.act = nn.ReLU()
        self.first, self.second = first, second
        self.far = nn.Linear(4, 3)
        self.near = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(x)
        near = self.near(x)
        return self.far(self.second(F.max_pool1d(self.first(x)[:, None], 2)[:, 0])) + near


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        (nn.Dropout(0.5), nn.Dropout(0.2), [0.4]),
        (nn.Dropout(0.5), nn.Identity(), [0.5]),
        (VisibleDropPath(0.25), nn.Dropout(1.0), [0.75]),  # the second leaves nothing to scale
        (VisibleUnscaledDropPath(0.25), nn.Identity(), []),
        (nn.Identity(), nn.Dropout(0.0), []),
    ],
)
def test_bounds_follow_the_dropouts_before_a_site(first: nn.Module, second: nn.Module, kept: list[float]) -> None:
    net = trainable(Bounded(first, second), 8, pact=True)
    assert [bound.kept for bound in modules(net, ScaledBound)] == pytest.approx(kept)
    assert all(name.startswith("body.far.") for name, held in net.named_modules() if isinstance(held, ScaledBound))


def test_the_codes_of_what_dropout_keeps_are_those_of_inference() -> None:
    """So a trained site sees the same roundings later: each kept product is that of inference, scaled up."""
    model = nn.Sequential(nn.ReLU(), nn.Dropout(0.5), nn.Linear(64, 1, bias=False))
    nn.init.zeros_(model[2].weight)
    model[2].weight.data[0, 0] = 1.0
    net = trainable(model, 64, pact=True)
    with torch.no_grad():
        net.get_parameter("body.0.pact_alpha").fill_(0.7)
    net.set_fidelity("integer")
    x = torch.rand(200, 64, generator=torch.Generator().manual_seed(0))
    expected = net.eval()(x)
    torch.manual_seed(0)
    found = net.train()(x)
    kept = found != 0
    assert 60 < kept.sum() < 140
    torch.testing.assert_close(found[kept], 2 * expected[kept])
