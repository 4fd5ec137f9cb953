from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asim_fx.simulation.metrics import (
    estimate_of,
    estimate_over_images,
    estimate_over_seeds,
    spread_over_dies,
    student_t95,
)


@pytest.mark.parametrize(
    ("freedom", "quantile"), [(1, 12.706), (4, 2.776), (30, 2.042), (31, 2.0395), (60, 2.0003), (1000, 1.9623)]
)
def test_student_t_is_that_of_the_tables(freedom: int, quantile: float) -> None:
    assert student_t95(freedom) == pytest.approx(quantile, abs=6e-4)


def test_interval_over_seeds_by_hand() -> None:
    estimate = estimate_over_seeds([90.0, 92.0, 94.0])
    assert estimate.mean == pytest.approx(92)
    assert estimate.high - estimate.mean == pytest.approx(4.303 * 2 / 3**0.5, rel=1e-4)
    assert estimate.interval == "3 seeds, Student t"


def test_wilson_interval_by_hand() -> None:
    # Newcombe, Statistics in Medicine 17 (1998), table I: 81 of 263 gives 0.2553 to 0.3662.
    estimate = estimate_over_images(81, 263)
    assert (estimate.low, estimate.high) == pytest.approx((25.53, 36.62), abs=0.005)


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_interval_holds_the_share_and_stays_on_the_scale(counts: tuple[int, int]) -> None:
    estimate = estimate_over_images(*counts)
    assert 0 <= estimate.low <= estimate.mean <= estimate.high <= 100
    assert estimate.low < estimate.high


@given(st.lists(st.floats(0, 100), min_size=2, max_size=50))
def test_interval_over_seeds_holds_the_mean_and_stays_on_the_scale(shares: list[float]) -> None:
    estimate = estimate_over_seeds(shares)
    assert 0 <= estimate.low <= estimate.mean + 1e-9
    assert estimate.mean - 1e-9 <= estimate.high <= 100


def test_spread_over_dies_by_hand() -> None:
    spread = spread_over_dies([90.0, 70.0, 80.0])
    assert (spread.dies, spread.mean, spread.worst, spread.median) == (3, 80.0, 70.0, 80.0)
    assert spread.percentile_5 == pytest.approx(71.0)  # a tenth of the way from 70 to 80
    assert spread.percentile_95 == pytest.approx(89.0)
    alone = spread_over_dies([50.0])
    assert (alone.worst, alone.percentile_5, alone.percentile_95) == (50.0, 50.0, 50.0)


def test_draws_that_agree_leave_the_interval_to_the_images() -> None:
    for right in range(31):
        share = 100 * right / 30
        assert estimate_of([share] * 3, 30) == estimate_of([share], 30) == estimate_over_images(right, 30)
    perfect = estimate_of([100.0, 100.0], 30)
    assert (perfect.high, perfect.interval) == (100.0, "30 images, Wilson")
    assert perfect.low < 90
    between = estimate_of([50 / 3, 50 / 3], 3)  # dies, each the mean of two draws: half an image
    assert between.low < between.mean < between.high
    assert estimate_of([90.0, 80.0], 30, "dies").interval == "2 dies, Student t"
