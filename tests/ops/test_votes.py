from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asim_fx.ops.codes import convert
from asim_fx.ops.config import ReadEffects
from asim_fx.ops.votes import vote


@given(st.lists(st.lists(st.integers(0, 3), min_size=4, max_size=4), min_size=1, max_size=8))
def test_votes_are_what_their_names_say(reads: list[list[int]]) -> None:
    codes = [torch.tensor(read) for read in reads]
    for cell, column in enumerate(zip(*reads, strict=True)):
        counts = Counter(column)
        assert int(vote(codes, "mode")[cell]) == min(counts, key=lambda code: (-counts[code], code))
        assert int(vote(codes, "median")[cell]) == sorted(column)[(len(column) - 1) // 2]
        assert int(vote(codes, "mean")[cell]) == sum(column)


def voted_errors(percent: float, how: str) -> torch.Tensor:
    """Errors in LSB of five votes at an 8-bit converter of 255 rows, over MAC values far from both ends."""
    generator = torch.Generator().manual_seed(5)
    count = 100_000
    mac = torch.randint(20, 235, (count,), generator=generator).float()
    effects = ReadEffects(255, 8, random_percent_fs=percent)
    samples = 1 if how == "one" else 5
    words = [torch.randint(0, 2**32, (count,), generator=generator) for _ in range(samples)]
    codes = [convert(mac, effects, 255, word) for word in words]
    if how == "one":
        return codes[0].double() - mac
    return vote(codes, how).double() / (5 if how == "mean" else 1) - mac  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("percent", "how", "variance", "bias"),
    [  # 0.4 % of 255 codes is 1.02 LSB, 0.2 % is 0.51 LSB.
        (0.4, "one", 1.12, 0.0),
        (0.4, "mode", 0.68, -0.22),
        (0.4, "median", 0.38, 0.0),
        (0.4, "mean", 0.23, 0.0),
        (0.2, "one", 0.34, 0.0),
        (0.2, "mode", 0.13, -0.07),
        (0.2, "median", 0.07, 0.0),
        (0.2, "mean", 0.07, 0.0),
    ],
)
def test_published_figures(percent: float, how: str, variance: float, bias: float) -> None:
    """Figures have two digits: tolerance 0.005 of that, plus 5 standard errors (false alarm about 1e-6 each)."""
    errors = voted_errors(percent, how)
    count = errors.numel()
    assert abs(errors.mean() - bias) < 0.005 + 5 * (errors.var() / count) ** 0.5
    fourth = ((errors - errors.mean()) ** 4).mean()
    assert abs(errors.var() - variance) < 0.0055 + 5 * ((fourth - errors.var() ** 2) / count) ** 0.5
