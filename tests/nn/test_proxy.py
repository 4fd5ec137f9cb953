"""Trim noise has the spread that it is given, in either form."""

from __future__ import annotations

import pytest
import torch

from asim_fx.nn.proxy import trimmed

RNG = torch.tensor([1, 0, -1])
VALUES = torch.cat([torch.zeros(20_000), torch.full((20_000,), 3.0)])


def test_trim_noise_is_a_share_of_each_value() -> None:
    noise = trimmed(VALUES, 10.0, RNG, 7) - VALUES
    assert not noise[:20_000].any()
    assert noise[20_000:].std().item() == pytest.approx(0.3, rel=0.03)  # standard error 0.5 %


def test_additive_trim_noise_is_the_same_everywhere() -> None:
    noise = trimmed(VALUES, 10.0, RNG, 7, additive=True) - VALUES
    size = 3 / 2**0.5
    for half in noise.split(20_000):
        assert half.std().item() == pytest.approx(0.1 * size, rel=0.03)


@pytest.mark.parametrize("additive", [False, True])
def test_a_draw_belongs_to_seed_sample_and_site(additive: bool) -> None:
    def draw(rng: torch.Tensor, stream: int) -> torch.Tensor:
        return trimmed(VALUES, 10.0, rng, stream, additive=additive)

    assert torch.equal(draw(RNG, 7), draw(RNG, 7))
    assert not torch.equal(draw(RNG, 7), draw(RNG, 8))
    assert not torch.equal(draw(RNG, 7), draw(torch.tensor([1, 64, -1]), 7))


def test_the_gradient_of_additive_noise_is_that_without() -> None:
    value = torch.randn(50, requires_grad=True)
    (trimmed(value, 10.0, RNG, 7, additive=True) * torch.arange(50)).sum().backward()
    assert torch.equal(value.grad, torch.arange(50).float())
