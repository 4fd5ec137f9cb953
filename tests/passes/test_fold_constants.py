from __future__ import annotations

import sys

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asim_fx.passes.fold_constants import fold_constants
from asim_fx.passes.remove_noops import remove_noops
from asim_fx.pipeline import FoldedOp

from .helper import apply, captured, check_passes, count_ops

X = torch.zeros(2, 4, 6, 6)


class Standardised(nn.Module):
    def __init__(self, gain: float = 1.0, *, tied: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.gain = nn.Parameter(torch.full((4, 1, 1, 1), gain))
        self.tied = tied

    def forward(self, x: Tensor) -> Tensor:
        weight = self.conv.weight
        weight = (weight - weight.mean((1, 2, 3), keepdim=True)) * self.gain
        y = F.conv2d(x, weight, self.conv.bias, padding=1)
        return y + self.conv.weight.sum() * x if self.tied else y


def test_a_standardised_weight_keeps_its_key() -> None:
    model = Standardised(2.0)
    graph_module, _ = check_passes(
        model, (X,), [fold_constants], before={"mean": 1, "sub": 1, "mul": 1}, after={"mean": 0, "sub": 0, "mul": 0}
    )
    assert graph_module.state_dict().keys() == model.state_dict().keys()
    weight = graph_module.conv.weight
    assert isinstance(weight, nn.Parameter)
    assert weight.requires_grad
    assert weight.mean((1, 2, 3)).abs().max() < 1e-6


def test_a_weight_with_another_use_gets_a_new_name() -> None:
    graph_module, _ = check_passes(Standardised(2.0, tied=True), (X,), [fold_constants], before={}, after={"mean": 0})
    assert "conv.weight_folded" in graph_module.state_dict()


def test_meta_tensors_keep_their_shape() -> None:
    with torch.device("meta"):
        model, x = Standardised(), X.to("meta")
    graph_module = captured(model, x)
    apply(graph_module, [fold_constants])
    assert count_ops(graph_module)["mean"] == 0
    assert graph_module.conv.weight.shape == (4, 4, 3, 3)
    assert graph_module.conv.weight.is_meta


class Masked(nn.Module):
    """A mask built in place from slices, as shifted windows do."""

    def forward(self, x: Tensor) -> Tensor:
        mask = torch.zeros(6, 6)
        count = 0
        for rows in (slice(0, 2), slice(2, 6)):
            for columns in (slice(0, 3), slice(3, 6)):
                mask[rows, columns] = count
                count += 1
        return x + mask.flatten().unsqueeze(1).eq(mask.flatten()).float().mean(1).view(6, 6)


def test_a_mask_built_in_place_becomes_one_constant() -> None:
    graph_module, _ = check_passes(
        Masked(),
        (X,),
        [remove_noops, fold_constants],
        before={"fill_": 4},
        after={"fill_": 0, "zeros": 0, "eq": 0, "add": 1},
    )
    assert list(graph_module.state_dict()) == []
    assert [name for name, _ in graph_module.named_buffers()] == ["folded_constant"]


class WritesInput(nn.Module):
    """Writes the input into a constant: it is none."""

    def forward(self, x: Tensor) -> Tensor:
        held = torch.ones(6, 6)
        early = held * 2
        held[0] = x[0, 0, 0] * 0 + 3
        return x + held + early


class ReadsBetweenWrites(nn.Module):
    """Reads a constant, then changes it: two values under one memory."""

    def forward(self, x: Tensor) -> Tensor:
        held = torch.ones(6, 6)
        x = x * held
        held.fill_(5)
        return x + held


@pytest.mark.parametrize("model", [WritesInput(), ReadsBetweenWrites()])
def test_memory_that_changes_is_left_alone(model: nn.Module) -> None:
    check_passes(model, (X,), [fold_constants], before={"ones": 1}, after={"ones": 1})


def test_random_numbers_are_not_constant() -> None:
    class Noisy(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + torch.rand(6) * 0

    check_passes(Noisy(), (X,), [fold_constants], before={"rand": 1}, after={"rand": 1})


class Product(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.position = nn.Linear(3, 6)
        self.register_buffer("grid", torch.randn(6, 3))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.position(self.grid)


def test_products_folded_away_are_recorded() -> None:
    graph_module, context = check_passes(Product(), (X,), [fold_constants], before={"linear": 1}, after={"linear": 0})
    assert context.log.folded == [FoldedOp("position", "aten.linear.default", 6 * 3 * 6)]
    assert "position.weight" in graph_module.state_dict()


def test_a_view_of_a_parameter_stays_a_view() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gamma = nn.Parameter(torch.randn(4))

        def forward(self, x: Tensor) -> Tensor:
            return x * self.gamma.view(4, 1, 1)

    graph_module, _ = check_passes(Scaled(), (X,), [fold_constants], before={"view": 1}, after={"view": 1})
    assert list(graph_module.state_dict()) == ["gamma"]


def test_a_small_seed_of_a_large_constant_is_not_unrolled(monkeypatch: pytest.MonkeyPatch) -> None:
    # The package exports the function under the name of its file.
    monkeypatch.setattr(sys.modules["asim_fx.passes.fold_constants"], "_SIZE_LIMIT_BYTES", 1000)

    class Grown(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.seed = nn.Parameter(torch.randn(6))

        def forward(self, x: Tensor) -> Tensor:
            return x + (self.seed.exp().repeat(4, 100, 1)[:, :6] + 1) * self.seed.exp().repeat(500, 1).sum()

    graph_module, _ = check_passes(Grown(), (X,), [fold_constants], before={"sum": 1}, after={"sum": 0})
    assert max(buffer.numel() for buffer in graph_module.state_dict().values()) <= 144
