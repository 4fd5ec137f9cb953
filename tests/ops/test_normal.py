from __future__ import annotations

from statistics import NormalDist

import torch

from asim_fx.ops.normal import normal


def evenly_spread_words(count: int) -> torch.Tensor:
    """Words at the middles of equal parts of 0..2**32: sums over them are integrals over the distribution."""
    return (torch.arange(count) * (2**32 // count)) + 2**32 // (2 * count)


def test_moments() -> None:
    z = normal(evenly_spread_words(2**20)).double()
    assert abs(z.mean()) < 1e-9
    assert abs(z.var() - 1) < 1e-4
    assert abs((z**3).mean()) < 1e-8
    assert abs((z**4).mean() - 3) < 2e-3


def test_every_quantile_to_four_and_a_half_sigma() -> None:
    for z in [0.01, 0.1, 0.5, 1, 2, 3, 4, 4.5]:
        tail = NormalDist().cdf(-z)
        word = torch.tensor([round(tail * 2**32)])
        assert abs(float(normal(word)) - z) < 1e-4  # the low half of the words is the positive side, tail first
        assert abs(float(normal(word + 2**31)) + z) < 1e-4


def test_the_farthest_words() -> None:
    ends = normal(torch.tensor([0, 2**31 - 1, 2**31, 2**32 - 1]))
    assert torch.allclose(ends, torch.tensor([6.338, 0.0, -6.338, -0.0]), atol=1e-2)


def test_magnitude_falls_as_the_word_grows() -> None:
    words = torch.unique((2 ** torch.linspace(0, 31, 20000, dtype=torch.float64)).long())
    z = normal(words[words < 2**31])
    assert (z.diff() <= 0).all()
