from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from asim_fx.ir import BatchLayout
from asim_fx.ops.config import OpConfig
from asim_fx.ops.conv import conv_reduction
from asim_fx.ops.draws import Seed
from asim_fx.ops.engines.plain import simulate
from asim_fx.ops.linear import linear_reduction
from asim_fx.ops.matmul import matmul_reduction
from tests.ops.configs import make_config, reference_sums

NOISY = [
    {"adc_bits": 5, "random_percent_fs": 1.0},
    {"adc_bits": 5, "random_percent_fs": 1.0, "nonlinear_percent_fs": 4.0, "hybrid": 2, "votes": (4, 3, "median")},
    {"adc_bits": 8, "random_percent_fs": 8.0, "encoding": 2},
    {"adc_bits": None, "random_percent_fs": 1.0, "votes": (2, 4, "mean")},
    {"adc_bits": 6, "random_percent_fs": 0.5, "compression_per_mac": 0.01, "cell_variation_percent": 5.0},
]


def codes(shape: tuple[int, ...], bits: int, signed: bool, seed: int) -> Tensor:
    top = 2 ** (bits - 1) - 1 if signed else 2**bits - 1
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-top if signed else 0, top + 1, shape, generator=generator).float()


def linear_sums(x: Tensor, w: Tensor, config: OpConfig, seed: Seed | None = None, **settings_: int) -> Tensor:
    return simulate(linear_reduction(x, w), config, seed or Seed(0), **settings_).view(x.shape[0], w.shape[0])


sizes = st.tuples(st.integers(1, 5), st.integers(1, 70), st.integers(1, 6))
bits = st.integers(2, 9)


@given(sizes, bits, bits, st.booleans(), st.integers(1, 4), st.integers(1, 40), st.integers(0, 999))
def test_an_ideal_read_is_an_integer_product(
    size: tuple[int, int, int], input_bits: int, weight_bits: int, signed: bool, encoding: int, rows: int, seed: int
) -> None:
    m, k, n = size
    x, w = codes((m, k), input_bits, signed, seed), codes((n, k), weight_bits, True, seed + 1)
    config = make_config(rows=rows, input_bits=input_bits, weight_bits=weight_bits, signed=signed, encoding=encoding)
    assert torch.equal(linear_sums(x, w, config), x.double() @ w.T.double())


@settings(max_examples=60)
@given(
    sizes,
    bits,
    st.booleans(),
    st.integers(1, 4),
    st.integers(1, 40),
    st.integers(1, 9),
    st.integers(0, 9),
    st.integers(0, 999),
)
def test_a_lossy_read_is_what_the_loops_say(
    size: tuple[int, int, int],
    input_bits: int,
    signed: bool,
    encoding: int,
    rows: int,
    adc: int,
    hybrid: int,
    seed: int,
) -> None:
    m, k, n = size
    x, w = codes((m, k), input_bits, signed, seed), codes((n, k), 4, True, seed + 1)
    config = make_config(
        rows=rows,
        input_bits=input_bits,
        signed=signed,
        encoding=encoding,
        adc_bits=adc,
        hybrid=hybrid,
        step=max(1, rows - 2),
    )
    expected = reference_sums(x.long(), w.long(), config)
    torch.testing.assert_close(linear_sums(x, w, config), expected, rtol=1e-12, atol=1e-9)


@given(sizes, st.booleans(), st.integers(1, 4), st.integers(0, 999), st.sampled_from([None, 4]))
def test_hybrid_with_all_levels_is_the_integer_product(
    size: tuple[int, int, int], signed: bool, encoding: int, seed: int, adc: int | None
) -> None:
    m, k, n = size
    x, w = codes((m, k), 5, signed, seed), codes((n, k), 4, True, seed + 1)
    config = make_config(
        rows=9, input_bits=5, signed=signed, encoding=encoding, adc_bits=adc, hybrid=9, random_percent_fs=3.0
    )
    assert torch.equal(linear_sums(x, w, config), x.double() @ w.T.double())


@pytest.mark.parametrize("effects", NOISY)
def test_blocks_and_batches_change_no_bit(effects: dict) -> None:
    """A conv of two groups: all at once, a line at a time, a sample at a time."""
    x, w = codes((3, 4, 6, 5), 4, False, 1), codes((6, 2, 3, 3), 4, True, 2)
    geometry = ([1, 1], [1, 1, 1, 1], [1, 1], 2)
    config = make_config(rows=10, step=9, layout=BatchLayout(6 * 30, 6 * 30), **effects)
    whole = simulate(conv_reduction(x, w, *geometry), config, Seed(4, 7))
    assert len(torch.unique(whole)) > 50
    assert torch.equal(simulate(conv_reduction(x, w, *geometry), config, Seed(4, 7), working_bytes=1), whole)
    assert torch.equal(simulate(conv_reduction(x, w, *geometry), config, Seed(4, 7), working_bytes=40_000), whole)
    singles = [simulate(conv_reduction(x[i : i + 1], w, *geometry), config, Seed(4, 7 + i)) for i in range(3)]
    assert torch.equal(torch.cat(singles), whole)


@pytest.mark.parametrize("effects", NOISY)
def test_threads_change_no_bit(effects: dict) -> None:
    x, w = codes((300, 40), 4, False, 1), codes((24, 40), 4, True, 2)
    config = make_config(rows=20, **effects)
    before = torch.get_num_threads()
    results = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        results.append(linear_sums(x, w, config))
    torch.set_num_threads(before)
    assert torch.equal(*results)


def test_matmul_blocks_change_no_bit() -> None:
    first, second = codes((2, 3, 7, 11), 4, True, 1), codes((2, 3, 11, 5), 4, True, 2)
    layout = BatchLayout(3 * 35, 3 * 35)
    config = make_config(signed=True, adc_bits=5, random_percent_fs=1.0, layout=layout)
    for stored_first in (True, False):
        reduction = matmul_reduction(first, second, stored_first=stored_first)
        whole = simulate(reduction, config, Seed(1))
        assert torch.equal(simulate(reduction, config, Seed(1), working_bytes=1), whole)
        last = matmul_reduction(first[1:], second[1:], stored_first=stored_first)
        assert torch.equal(simulate(last, config, Seed(1, 1)), whole[105:])


def test_noise_is_drawn_anew_for_each_seed_sample_and_site() -> None:
    x, w = codes((1, 40), 4, False, 1).expand(50, 40), codes((8, 40), 4, True, 2)
    effects = {"adc_bits": 5, "random_percent_fs": 2.0, "layout": BatchLayout(8, 8)}
    base = linear_sums(x, w, make_config(**effects), Seed(0))
    assert len({tuple(row.tolist()) for row in base}) == 50
    assert torch.equal(linear_sums(x, w, make_config(**effects), Seed(0)), base)
    assert not torch.equal(linear_sums(x, w, make_config(**effects), Seed(1)), base)
    assert not torch.equal(linear_sums(x, w, make_config(site="other", **effects), Seed(0)), base)
    moved = linear_sums(x, w, make_config(**effects), Seed(0, first_sample=10))
    assert torch.equal(moved[:40], base[10:])


def test_noise_of_the_sum_is_the_sum_of_the_noises() -> None:
    """An ideal converter, MACs far from both ends: variance = sum over cells of (place * full scale * sigma)**2.

    20,000 draws: the variance's standard error is 1 %; 5 of them.
    """
    x, w = torch.zeros(20_000, 80), torch.full((1, 80), -1.0)  # -1 is all ones in two's complement
    x[:, ::2] = 15.0  # so every plane pair has a MAC of 40 of 80
    config = make_config(rows=80, random_percent_fs=1.0, layout=BatchLayout(1, 1))
    sums = linear_sums(x, w, config)
    expected = sum(4.0 ** (i + j) for i in range(4) for j in range(4)) * (80 * 0.01) ** 2
    assert abs(sums.var() / expected - 1) < 0.05
    assert abs(sums.mean() - 40 * -15) < 5 * (expected / 20_000) ** 0.5


def test_voting_lowers_the_variance_of_the_voted_cycles() -> None:
    """Everything voted by median of 5: less than 0.45 of the variance.

    F test of 2 x 8,000 errors: the ratio of 0.35 has a standard error of 0.008, so a false alarm is beyond 10 of them.
    """
    x, w = codes((1, 60), 4, False, 3).expand(2000, 60), codes((4, 60), 4, True, 4)
    effects = {"rows": 63, "adc_bits": 6, "random_percent_fs": 1.6, "layout": BatchLayout(4, 4)}
    single = linear_sums(x, w, make_config(**effects)).var(dim=0).mean()
    median = linear_sums(x, w, make_config(votes=(9, 5, "median"), **effects)).var(dim=0).mean()
    mode = linear_sums(x, w, make_config(votes=(9, 5, "mode"), **effects)).var(dim=0).mean()
    assert median < 0.45 * single
    assert mode < 0.8 * single


def test_votes_and_hybrid_levels_together() -> None:
    """Digital cells beside voted ones: less variance than either alone (F tests of 2 x 8,000)."""
    x, w = codes((1, 60), 5, True, 3).expand(2000, 60), codes((4, 60), 4, True, 4)
    effects = {
        "rows": 63,
        "adc_bits": 6,
        "input_bits": 5,
        "signed": True,
        "encoding": 2,
        "random_percent_fs": 1.0,
        "layout": BatchLayout(4, 4),
    }

    def variance(**more: object) -> float:
        return float(linear_sums(x, w, make_config(**effects, **more)).var(dim=0).mean())  # type: ignore[arg-type]

    both = variance(hybrid=2, votes=(4, 5, "mean"))
    assert both < 0.9 * variance(hybrid=2)
    assert both < 0.9 * variance(votes=(4, 5, "mean"))


def test_nothing_gives_nothing() -> None:
    config = make_config(adc_bits=4, random_percent_fs=1.0)
    assert linear_sums(torch.zeros(0, 9), torch.ones(3, 9), config).shape == (0, 3)


def test_blocks_of_a_volume_are_lines() -> None:
    x, w = codes((2, 3, 4, 5, 6), 4, False, 0), codes((5, 3, 2, 2, 3), 4, True, 1)
    reduction = conv_reduction(x, w, [1, 2, 1], [0, 1, 1, 0, 0, 0], [1, 1, 1], 1)
    expected = torch.nn.functional.conv3d(torch.nn.functional.pad(x, (0, 0, 1, 0, 0, 1)), w, stride=(1, 2, 1)).double()
    assert reduction.positions == 4 * 3 * 4
    for vectors in (1, 9, 10**6):
        largest = max(
            block.positions.stop - block.positions.start for _, part in reduction.blocks(vectors) for block in part
        )
        assert largest == min(max(4, vectors // 4 * 4), 48)
    config = make_config(rows=1000, input_bits=4, weight_bits=4, signed=False)
    for working_bytes in (1, 2**14, 2**26):
        sums = simulate(reduction, config, Seed(0), working_bytes=working_bytes)
        assert torch.equal(sums.view(reduction.shape), expected)
