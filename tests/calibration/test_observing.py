"""Streaming histograms: bins are exact, the range grows, no count is lost."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from asim_fx.calibration.observing import BINS, MagnitudeHistogram
from asim_fx.errors import NumericsError

values = st.lists(st.floats(-1e6, 1e6, width=32), max_size=30)


def histogram_of(chunks: list[list[float]], *, signed: bool = True) -> MagnitudeHistogram:
    histogram = MagnitudeHistogram(signed=signed)
    for chunk in chunks:
        histogram.add(torch.tensor(chunk, dtype=torch.float32))
    return histogram


@given(st.lists(values, max_size=5), st.booleans())
def test_no_count_is_lost_and_the_largest_is_exact(chunks: list[list[float]], signed: bool) -> None:
    histogram = histogram_of(chunks, signed=signed)
    everything = [value for chunk in chunks for value in chunk]
    kept = [abs(value) for value in everything if signed or value >= 0]
    assert histogram.total == len(everything)
    assert histogram.negatives == len(everything) - len(kept)
    assert histogram.zeros == kept.count(0)
    assert histogram.largest == max(kept, default=0.0)


@given(st.lists(values, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_neither_the_order_nor_the_chunks_matter(chunks: list[list[float]], random) -> None:
    everything = [value for chunk in chunks for value in chunk]
    shuffled = random.sample(everything, len(everything))
    one, other = histogram_of(chunks), histogram_of([shuffled])
    assert one.width == other.width
    assert torch.equal(one.counts, other.counts)


def test_the_range_grows_by_merging_neighbours() -> None:
    small = torch.rand(1000, generator=torch.Generator().manual_seed(0))
    histogram = MagnitudeHistogram(signed=True)
    histogram.add(small)
    before, counts = histogram.width, histogram.counts.clone()
    histogram.add(torch.tensor([6.0]))
    factor = round(histogram.width / before)
    assert factor >= 4
    merged = counts.view(-1, factor).sum(1)
    assert torch.equal(histogram.counts[: BINS // factor], merged)
    assert int(histogram.counts[BINS // factor :].sum()) == 1


@given(st.lists(st.floats(2.0**-90, 2.0**90, width=32), min_size=1, max_size=30))
def test_each_value_is_in_the_bin_below_its_upper_edge(data: list[float]) -> None:
    histogram = histogram_of([data])
    edges = range(0, BINS + 1, 97)
    for edge in edges:
        assert histogram.up_to(edge) == sum(value <= edge * histogram.width for value in data)
    assert BINS // 2 <= math.ceil(histogram.largest / histogram.width) <= BINS


@given(st.lists(st.floats(-4, 4, width=32), min_size=1, max_size=40), st.integers(1, BINS), st.booleans())
def test_clipped_is_the_share_of_what_a_scale_clips(data: list[float], edge: int, signed: bool) -> None:
    histogram = histogram_of([data], signed=signed)
    scale = histogram.scale_at(edge)
    outside = [value for value in data if (abs(value) > scale if signed else value > scale or value < 0)]
    # The scale has 1e-7 on top of the edge; a value in between may count either way.
    near = [value for value in data if abs(abs(value) - scale) < 2e-7]
    assert abs(histogram.clipped(scale) - len(outside) / len(data)) <= len(near) / len(data) + 1e-12


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_refused_by_name(bad: float) -> None:
    histogram = MagnitudeHistogram(signed=True, what="the input of site stem")
    with pytest.raises(NumericsError, match="the input of site stem holds NaN or infinity"):
        histogram.add(Tensor([1.0, bad]))
    assert histogram.total == 0


def test_zeros_alone_have_no_range() -> None:
    histogram = histogram_of([[0.0, 0.0], []])
    assert (histogram.zeros, histogram.used, histogram.clipped(1.0)) == (2, 0, 0.0)
