"""Tables of reads: what is settled without a look-up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asim_fx.ops.engines.tables import read_table
from tests.ops.configs import make_config


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from([(255, 8), (255, 7), (64, 8), (100, 6), (85, 8), (15, 4)]),
    st.floats(0.01, 0.5),
    st.floats(0.0, 0.5),
)
def test_words_from_the_limit_on_give_the_scaled_mac_value(
    converter: tuple[int, int], random: float, nonlinear: float
) -> None:
    rows, adc_bits = converter
    effects = make_config(rows=rows, adc_bits=adc_bits, random_percent_fs=random, nonlinear_percent_fs=nonlinear).read
    table = read_table(effects, rows, noisy=True)
    if table is None or table.settled is None:
        return
    settled, bits = table.settled, table.column_bits
    mac, column = np.divmod(np.arange(len(table.entries)), 2**bits)
    entry = table.entries.astype(np.int64)
    direct, other = entry >> 6 & 1023, (entry >> 6 & 1023) + (entry & 63) - 32
    scaled = (mac * settled.multiplier + 2**15) >> 16
    for rest in {1, settled.few_limit, settled.limit, max(settled.few_limit, settled.limit) + 1, 2 ** (16 - bits) - 1}:
        code = np.where(rest > entry >> 16, other, direct)
        limit = np.where(mac < settled.few, settled.few_limit, settled.limit)
        assert np.array_equal(code[rest >= limit], scaled[rest >= limit])
    # The low half decides where the rest is 0: that must be left open unless both codes are the same.
    assert np.array_equal(direct[limit == 0], other[limit == 0])
    assert column.max() == 2**bits - 1


@pytest.mark.parametrize(("noise", "is_settled"), [(0.05, True), (0.5, False)])
def test_only_small_noise_is_settled(noise: float, is_settled: bool) -> None:
    effects = make_config(rows=255, adc_bits=8, random_percent_fs=noise).read
    table = read_table(effects, 255, noisy=True)
    assert table is not None
    assert (table.settled is not None) == is_settled
