from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import asim_fx
from asim_fx.errors import InputError, NumericsError
from asim_fx.exploration.images import Images
from asim_fx.exploration.scores import divergence, scores_of


def test_divergence() -> None:
    scores = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    assert divergence(scores, scores) == 0
    assert divergence(scores, scores + 3) == pytest.approx(0, abs=1e-6)  # probabilities do not see it
    assert 0 < divergence(scores, scores + 0.1 * scores.flip(1)) < divergence(scores, scores + scores.flip(1))


def test_a_small_divergence_is_no_rounding() -> None:
    scores = torch.tensor([[1.0, 2.0, 4.0]])
    moved = scores + torch.tensor([[0.0, 2.0**-12, 0.0]])
    share = scores.double().softmax(1)[0, 1]
    assert divergence(scores, moved) == pytest.approx(float(share * (1 - share) * 2.0**-25), rel=1e-3)


def test_scores_that_are_no_numbers() -> None:
    with pytest.raises(NumericsError, match="NaN"):
        divergence(torch.zeros(1, 3), torch.full((1, 3), float("nan")))


class Named(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"scores": self.head(x.flatten(1))}


def test_a_model_without_class_scores() -> None:
    pixels = torch.randn(2, 1, 2, 2)
    converted = asim_fx.convert(Named(), "ideal", pixels)
    with pytest.raises(InputError, match="does not return one row of class scores"):
        scores_of(converted, Images(pixels, torch.tensor([0, 1]), 2))


def test_a_model_computes_where_its_weights_are() -> None:
    """A stand-in for another device: images go there, scores come back."""

    class Elsewhere(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(2, 3, device="meta"))

        def reseed(self, seed: int) -> None:
            pass

        def forward(self, batch: Tensor) -> Tensor:
            assert batch.device.type == "meta"
            return torch.eye(2).as_subclass(Returned)

    class Returned(Tensor):
        def cpu(self) -> Tensor:
            return 2 * torch.eye(2)

    data = Images(torch.zeros(2, 1, 1, 2), torch.arange(2), 2)
    assert torch.equal(scores_of(Elsewhere(), data), 2 * torch.eye(2))  # type: ignore[arg-type]
