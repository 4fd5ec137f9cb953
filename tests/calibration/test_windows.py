"""Windows of converters, against brute force and against what noise asks for."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from asim_fx.calibration.macs import MacHistogram
from asim_fx.calibration.windows import choose_window, clipped, compute_snr, percentile_window, reading_error
from asim_fx.ops.codes import convert
from asim_fx.ops.config import ReadEffects

ROWS = 60


def histogram_of(macs: Tensor, *, signed: bool = False, size: int = 1, place: int = 1) -> MacHistogram:
    histogram = MacHistogram(ROWS, signed)
    histogram.add(size, place, macs)
    return histogram


def binomial(mean: float, count: int = 20_000) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.poisson(torch.full((count,), float(mean)), generator=generator).clamp(max=ROWS)


@given(st.lists(st.integers(0, ROWS), min_size=1, max_size=40), st.sampled_from([3, 4, 5]))
@settings(max_examples=15)
def test_mse_is_the_least_over_all_windows(macs: list[int], bits: int) -> None:
    histogram = histogram_of(torch.tensor(macs))
    effects = ReadEffects(rows=ROWS, adc_bits=bits)

    def error(window: tuple[float, float]) -> float:
        return reading_error(histogram, histogram.counts, effects, window)

    found = choose_window(histogram, effects, "mse", 100)
    # One end after the other: the best of all upper ends is never missed, both together might be.
    assert error(found) <= min(error((0.0, float(high))) for high in range(1, ROWS + 1)) + 1e-9


@given(st.lists(st.integers(0, ROWS), min_size=1, max_size=30), st.integers(1, ROWS), st.sampled_from([2, 4, 8]))
def test_the_error_is_that_of_the_reads_themselves(macs: list[int], high: int, bits: int) -> None:
    value = torch.tensor(macs)
    effects = ReadEffects(rows=ROWS, adc_bits=bits, window=(0.0, float(high)))
    codes = convert(value, effects, ROWS, None)
    expected = ((codes * (high / effects.top_code) - value) ** 2).sum()
    found = reading_error(histogram_of(value), histogram_of(value).counts, effects, (0.0, float(high)))
    assert found == pytest.approx(float(expected), rel=1e-5, abs=1e-6)


def test_noise_of_the_array_stays_and_noise_in_steps_shrinks_with_the_window() -> None:
    macs = torch.full((1000,), 10)
    histogram = histogram_of(macs)
    narrow, wide = (0.0, 20.0), (0.0, 60.0)
    # 14 bits: noise alone. 1 % of a full scale of 60 is 0.6 MAC units whatever the window.
    of_array = ReadEffects(rows=ROWS, adc_bits=14, random_percent_fs=1.0)
    for window in (narrow, wide):
        assert reading_error(histogram, histogram.counts, of_array, window) / 1000 == pytest.approx(0.36, rel=0.01)
    in_steps = ReadEffects(rows=ROWS, adc_bits=14, random_lsb_rms=50.0)
    errors = [reading_error(histogram, histogram.counts, in_steps, window) for window in (narrow, wide)]
    assert errors[1] / errors[0] == pytest.approx(9, rel=0.01)


def test_more_noise_in_steps_means_a_narrower_window() -> None:
    histogram = histogram_of(binomial(15))
    quiet = ReadEffects(rows=ROWS, adc_bits=6)
    loud = replace(quiet, random_lsb_rms=3.0)
    of_quiet, of_loud = (choose_window(histogram, effects, "csnr", 100) for effects in (quiet, loud))
    assert of_loud[1] - of_loud[0] < of_quiet[1] - of_quiet[0]
    assert choose_window(histogram, loud, "mse", 100) == choose_window(histogram, quiet, "mse", 100)


def test_csnr_counts_each_read_by_its_place_and_is_the_best_at_it() -> None:
    histogram = histogram_of(binomial(6), place=128)
    histogram.add(1, 1, binomial(40))
    effects = ReadEffects(rows=ROWS, adc_bits=4, random_lsb_rms=0.3)
    window = choose_window(histogram, effects, "csnr", 100)
    assert window[1] < 25  # the reads of the lowest place may be clipped
    best = compute_snr(histogram, effects, window)
    assert best is not None
    for method in ("mse", "percentile"):
        other = compute_snr(histogram, effects, choose_window(histogram, effects, method, 99.9))
        assert other is not None
        assert best >= other


def test_a_lossless_range_is_kept() -> None:
    effects = ReadEffects(rows=51, adc_bits=8)
    full = MacHistogram(51)
    full.add(1, 1, torch.arange(52))
    assert choose_window(full, effects, "csnr", 100) == (0.0, 51.0)
    assert compute_snr(full, effects, (0.0, 51.0)) == float("inf")


@given(st.lists(st.integers(0, ROWS), min_size=1, max_size=60), st.floats(1, 100))
def test_a_percentile_window_clips_no_more_than_asked(macs: list[int], percentile: float) -> None:
    histogram = histogram_of(torch.tensor(macs))
    low, high = percentile_window(histogram, percentile)
    assert 0 <= low < high <= ROWS
    assert sum(mac > high for mac in macs) <= (100 - percentile) / 200 * len(macs) + 1e-6
    assert sum(mac < low for mac in macs) <= (100 - percentile) / 200 * len(macs) + 1e-6
    assert clipped(histogram, (low, high)) <= (100 - percentile) / 100 + 1e-6


def test_all_of_them_are_the_hundredth_percentile() -> None:
    assert percentile_window(histogram_of(torch.tensor([7, 30, 9])), 100) == (7.0, 30.0)


@given(st.lists(st.integers(-ROWS * 3, ROWS * 3), min_size=1, max_size=40), st.floats(1, 100))
@settings(max_examples=20)
def test_of_values_with_a_sign_the_window_is_symmetric(macs: list[int], percentile: float) -> None:
    histogram = histogram_of(torch.tensor(macs), signed=True, size=3)
    low, high = percentile_window(histogram, percentile)
    assert low == 0
    assert sum(abs(mac) > high * 3 for mac in macs) <= (100 - percentile) / 100 * len(macs) + 1e-6
    effects = ReadEffects(rows=ROWS, adc_bits=5, subtracted=True)
    low, high = choose_window(histogram, effects, "mse", 100)
    assert low == 0
    assert reading_error(histogram, histogram.counts, effects, (low, high)) <= (
        reading_error(histogram, histogram.counts, effects, (0.0, float(ROWS))) + 1e-9
    )


def test_many_values_are_counted_in_runs() -> None:
    size = 127 * 255
    macs = torch.tensor([-size * ROWS, -1000, 0, 5, size * ROWS])
    histogram = histogram_of(macs, signed=True, size=size)
    assert histogram.total == 5
    values = histogram.values(size)
    nearest = torch.stack([(values - mac).abs().min() for mac in macs])
    assert float(nearest.max()) <= 0.5 * float(values[1] - values[0])


def test_nothing_met_is_the_full_range() -> None:
    assert choose_window(MacHistogram(ROWS), ReadEffects(rows=ROWS, adc_bits=4), "csnr", 99) == (0.0, ROWS)


def test_an_unknown_method_is_an_error() -> None:
    with pytest.raises(ValueError, match="no such method"):
        choose_window(histogram_of(torch.ones(2)), ReadEffects(rows=ROWS, adc_bits=4), "median", 50)
