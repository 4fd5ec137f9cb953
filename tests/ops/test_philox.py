from __future__ import annotations

import pytest
import torch

from asim_fx.ops.philox import mix64, philox4x32

KNOWN = [  # The answers published with Random123 for seven rounds.
    ([0] * 4, (0, 0), [0x5F6FB709, 0x0D893F64, 0x4F121F81, 0x4F730A48]),
    ([0xFFFFFFFF] * 4, (0xFFFFFFFF, 0xFFFFFFFF), [0x5207DDC2, 0x45165E59, 0x4D8EE751, 0x8C52F662]),
    (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
        (0xA4093822, 0x299F31D0),
        [0x4DFCCABA, 0x190A87F0, 0xC47362BA, 0xB6B5242A],
    ),
]


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN)
def test_known_answers(counter: list[int], key: tuple[int, int], words: list[int]) -> None:
    drawn = philox4x32(tuple(torch.tensor([word]) for word in counter), key)
    assert [int(word) for word in drawn] == words


@pytest.mark.parametrize("axis", range(4))
def test_neighbouring_counters_are_independent(axis: int) -> None:
    """Correlation of n pairs has standard error 1/sqrt(n); 5 of them, 16 pairs of lanes: false alarm 1e-5."""
    n = 200_000
    zeros = torch.zeros(n, dtype=torch.int64)
    counter = [zeros] * 4
    counter[axis] = torch.arange(n)
    lanes = torch.stack(philox4x32(tuple(counter), (1, 2))).double() / 2**32 - 0.5
    here, there = lanes[:, :-1], lanes[:, 1:]
    correlation = (here @ there.T) / (n / 12)
    assert correlation.abs().max() < 5 / n**0.5
    between_lanes = (lanes @ lanes.T) / (n / 12) - torch.eye(4)
    assert between_lanes.triu(1).abs().max() < 5 / n**0.5


def test_counters_broadcast() -> None:
    row, column = torch.arange(3)[:, None], torch.arange(5)
    drawn = philox4x32((column, row, row, column), (7, 8))
    single = philox4x32((column[4:], row[2], row[2], column[4:]), (7, 8))
    assert all(int(many[2, 4]) == int(one) for many, one in zip(drawn, single, strict=True))


def test_neighbouring_seeds_share_nothing() -> None:
    mixed = [mix64(seed) for seed in range(-5, 1000)]
    assert len({value & 0xFFFFFFFF for value in mixed}) == len(mixed)
    assert all(0 <= value < 2**64 for value in mixed)
