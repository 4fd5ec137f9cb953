"""Scales from histograms, against brute force and against what is known of distributions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from asim_fx.calibration.divergence import divergence, least_divergence
from asim_fx.calibration.observing import MagnitudeHistogram
from asim_fx.calibration.scales import choose_scale, mse_scale, percentile_scale, quantised
from asim_fx.ops.config import Operand
from asim_fx.ops.quantize import SCALE_FLOOR, dequantize, quantize

METHODS = ("max", "percentile", "mse", "kl")


def histogram_of(value: Tensor, *, signed: bool = True) -> MagnitudeHistogram:
    histogram = MagnitudeHistogram(signed=signed)
    histogram.add(value)
    return histogram


def gaussian(size: int = 200_000) -> Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(3))


@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=50), st.booleans())
def test_max_is_the_scale_of_a_dynamic_operand(data: list[float], signed: bool) -> None:
    value = torch.tensor(data, dtype=torch.float32)
    scale = choose_scale(histogram_of(value, signed=signed), 127, "max", 99.0)
    dynamic = quantize(value, Operand(8, signed), site="stem", role="input").scale
    assert torch.tensor(scale, dtype=torch.float32) == pytest.approx(float(dynamic), rel=1e-6)


@given(st.lists(st.floats(0, 10, width=32), min_size=1, max_size=60), st.floats(0.1, 100))
def test_a_percentile_holds_its_share_and_no_bin_more(data: list[float], percentile: float) -> None:
    histogram = histogram_of(torch.tensor(data, dtype=torch.float32))
    scale = choose_scale(histogram, 127, "percentile", percentile)
    if not histogram.used:
        assert scale == SCALE_FLOOR
        return
    inside = sum(value <= scale for value in data)
    assert inside >= percentile / 100 * len(data) - 1e-6
    below = scale - SCALE_FLOOR - histogram.width
    fewer = sum(value <= below for value in data)
    assert below <= 0 or fewer < percentile / 100 * len(data) + 1e-6


def test_the_hundredth_percentile_is_the_largest() -> None:
    histogram = histogram_of(gaussian(5000))
    assert percentile_scale(histogram, 100) == histogram.largest + SCALE_FLOOR


def test_percentiles_of_a_known_distribution() -> None:
    # 99.73 % of a normal distribution lies within three standard deviations.
    assert percentile_scale(histogram_of(gaussian()), 99.73) == pytest.approx(3.0, rel=0.02)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("signed", [True, False])
def test_mse_against_every_threshold(bits: int, signed: bool) -> None:
    value = gaussian(4000) if signed else gaussian(4000).relu()
    operand = Operand(bits, signed, "static")
    histogram = histogram_of(value, signed=signed)

    def error(scale: float) -> float:
        codes = quantize(value, operand, site="s", role="input", scale=torch.tensor(scale))
        return float((dequantize(codes, operand) - value).double().square().mean())

    brute = min(error(scale) for scale in np.linspace(0.02, 1, 400) * histogram.largest)
    # To a bin: thresholds between its edges, and values off its middle, change the error a little.
    assert error(mse_scale(histogram, operand.levels)) <= brute * 1.02


def test_mse_of_gaussian_at_4_bits_is_where_banner_et_al_have_it() -> None:
    # Their optimum for 2^4 levels over -a..a is a = 2.55 sigma; 15 levels here, so a little lower.
    assert mse_scale(histogram_of(gaussian()), 7) == pytest.approx(2.55, abs=0.15)


def test_of_equal_values_mse_is_the_value_to_a_bin() -> None:
    assert mse_scale(histogram_of(torch.tensor([1.0, -1.0])), 127) == pytest.approx(1.0, abs=2**-12)


@pytest.mark.parametrize("method", METHODS)
@given(st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=40))
@settings(max_examples=15)
def test_a_scale_is_positive_and_never_above_the_largest(method: str, data: list[float]) -> None:
    histogram = histogram_of(torch.tensor(data, dtype=torch.float32))
    scale = choose_scale(histogram, 127, method, 99.0)
    assert 0 < scale <= histogram.largest + SCALE_FLOOR


def test_kl_of_a_histogram_that_fits_is_nothing() -> None:
    counts = np.repeat([5, 1, 9, 4], 3)
    assert divergence(counts, len(counts), 4) == pytest.approx(0.0, abs=1e-12)
    assert least_divergence(counts, 4) == 12


def test_kl_by_hand() -> None:
    # Two levels of two bins: Q is (2, 2, 1, 1) / 6 for P = (3, 1, 2, 0) / 6, the empty bin left out of its pair.
    counts = np.array([3, 1, 2, 0])
    expected = sum(p / 6 * math.log(p / q) for p, q in ((3, 2), (1, 2), (2, 2)))
    assert divergence(counts, 4, 2) == pytest.approx(expected)


def test_kl_clips_a_lone_outlier_and_keeps_a_uniform_distribution() -> None:
    with_outlier = torch.cat([gaussian(), torch.tensor([60.0])])
    assert choose_scale(histogram_of(with_outlier), 127, "kl", 0) < 10
    uniform = torch.rand(200_000, generator=torch.Generator().manual_seed(1))
    assert choose_scale(histogram_of(uniform), 127, "kl", 0) > 0.97


def test_an_outlier_in_an_empty_bin_is_infinitely_divergent() -> None:
    assert divergence(np.array([4, 0, 0, 1]), 2, 2) == math.inf


def test_fewer_bins_than_levels_keep_everything() -> None:
    assert least_divergence(np.ones(20, dtype=np.int64), 128) == 20


def test_clipping_and_rounding_of_magnitudes() -> None:
    assert quantised(torch.tensor([0.0, 0.3, 0.9, 5.0]), 2, 1.0).tolist() == [0.0, 0.5, 1.0, 1.0]


def test_an_unknown_method_is_an_error() -> None:
    with pytest.raises(ValueError, match="no such method"):
        choose_scale(histogram_of(torch.ones(2)), 7, "median", 50)
