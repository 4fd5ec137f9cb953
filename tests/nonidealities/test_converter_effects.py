"""Effects that are functions of the MAC value: they reach the code table, and match their definitions."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from asim_fx.nonidealities.adc_steps import drawn_thresholds
from asim_fx.nonidealities.noise_units import capacitor_sigma_percent, enob_of_sndr, lsb_rms_of_enob
from asim_fx.nonidealities.reads import has_real_cells, has_spread, is_identity, model_read, needs_columns
from asim_fx.ops.codes import code_table, convert, reads_nothing_as_zero
from asim_fx.ops.config import ReadEffects, loads
from asim_fx.ops.draws import Seed
from asim_fx.ops.engines import plain
from asim_fx.ops.engines.cpu.engine import simulate as cpu_simulate
from asim_fx.ops.engines.cpu.plan import not_covered
from asim_fx.ops.linear import linear_reduction
from tests.ops.configs import make_config

ROWS = 63
MACS = torch.arange(ROWS + 1)
MEAN = tuple(mac * 0.95 + 0.5 for mac in range(ROWS + 1))
SIGMA = tuple(0.2 + mac * 0.01 for mac in range(ROWS + 1))
CODE_EFFECTS = [
    {"random_lsb_rms": 0.7},
    {"comparator_lsb_rms": 0.7},
    {"comparator_lsb_rms": 0.7, "adc_gain_percent": -20.0},
    {"random_percent_fs": 1.0, "bitline_gain": 0.8},
    {"random_percent_fs": 1.0, "adc_gain_percent": 10.0, "adc_offset_lsb": -1.5},
    {"random_percent_fs": 1.0, "window": (5.0, 40.0)},
    {"random_lsb_rms": 0.7, "window": (0.0, 40.0)},
    {"random_percent_fs": 1.0, "thresholds_lsb": drawn_thresholds(63, 0.4, (1, 2))},
    {"mean_mac": MEAN, "sigma_mac": SIGMA},
    {"capacitor_sigma_percent": 10.0, "capacitors_redrawn": True},
]


def words(count: int, seed: int = 3) -> Tensor:
    return torch.randint(0, 2**32, (count,), generator=torch.Generator().manual_seed(seed))


def definition(effects: ReadEffects, mac: int) -> tuple[float, float]:
    """Mean and spread of what the converter sees, in its steps, by the formulas of docs/numerics.md."""
    low, high = effects.window or (0.0, float(ROWS))
    lsb = (high - low) / 63
    value = MEAN[mac] if effects.mean_mac else mac * effects.bitline_gain
    share = min(value / ROWS, 1)
    gain = 1 + effects.adc_gain_percent / 100
    variance = (effects.random_percent_fs / 100 * ROWS) ** 2 + (effects.random_lsb_rms * lsb) ** 2
    variance += SIGMA[mac] ** 2 if effects.mean_mac else 0
    variance += (effects.capacitor_sigma_percent / 100) ** 2 * share * (1 - share) * ROWS
    sigma = math.hypot(math.sqrt(variance) * gain / lsb, effects.comparator_lsb_rms)
    return (min(value, ROWS) - low) / lsb * gain + effects.adc_offset_lsb, sigma


@pytest.mark.parametrize("fields", CODE_EFFECTS)
@pytest.mark.parametrize("mac", [12, 30])
def test_codes_follow_the_definition(fields: dict[str, object], mac: int) -> None:
    """40,000 reads at one MAC value; mean and spread within 5 standard errors of the rounded normal distribution."""
    effects = ReadEffects(ROWS, 6, **fields)  # type: ignore[arg-type]
    assert has_spread(effects)
    count = 40_000
    codes = convert(torch.full((count,), mac), effects, ROWS, words(count)).double()
    mean, sigma = definition(effects, mac)
    levels = torch.tensor(effects.thresholds_lsb or [code + 0.5 for code in range(63)]).double()
    reached = torch.special.ndtr((mean - levels) / sigma)
    expected = float(reached.sum())
    second = float((reached * (2 * torch.arange(1, 64) - 1)).sum())
    spread = math.sqrt(second - expected**2)
    assert abs(codes.mean() - expected) < 5 * spread / math.sqrt(count)
    assert abs(codes.std() / spread - 1) < 5 * math.sqrt(2 / count)


@pytest.mark.parametrize("fields", CODE_EFFECTS)
def test_both_engines_give_the_same_bits(fields: dict[str, object]) -> None:
    config = make_config(rows=ROWS, step=40, adc_bits=6, **fields)
    generator = torch.Generator().manual_seed(1)
    x = torch.randint(0, 16, (6, 90), generator=generator).float()
    w = torch.randint(-7, 8, (5, 90), generator=generator).float()
    assert not not_covered(config)
    assert code_table(config.read, ROWS, "cpu") is not None
    sums = plain.simulate(linear_reduction(x, w), config, Seed(4))
    assert torch.equal(cpu_simulate(linear_reduction(x, w), config, Seed(4)), sums)
    assert loads(config.dumps()) == config


@pytest.mark.parametrize(
    "fields",
    [
        {"bitline_gain": 0.8},
        {"adc_gain_percent": 10.0},
        {"adc_offset_lsb": 2.0},
        {"thresholds_lsb": drawn_thresholds(63, 0.4, (1, 2))},
        {"window": (0.0, 40.0)},
        {"window": (5.5, 40.0)},
        {"mean_mac": MEAN, "sigma_mac": (0.0,) * 64},
    ],
)
def test_without_noise_both_engines_show_the_effect(fields: dict[str, object]) -> None:
    config, plain_config = (make_config(rows=ROWS, step=63, adc_bits=6, **f) for f in (fields, {}))
    assert not has_spread(config.read)
    x, w = torch.full((3, 63), 15.0), torch.full((4, 63), 7.0)
    x[0] = 0
    x[1, 20:] = 0
    sums = plain.simulate(linear_reduction(x, w), config, Seed(0))
    assert torch.equal(cpu_simulate(linear_reduction(x, w), config, Seed(0)), sums)
    assert not torch.equal(sums, plain.simulate(linear_reduction(x, w), plain_config, Seed(0)))


def test_what_counts_as_exact() -> None:
    assert is_identity(ReadEffects(ROWS, 6))
    for fields in ({"bitline_gain": 0.9}, {"adc_offset_lsb": 1.0}, {"dnl_sigma_lsb": 0.1}, {"mean_mac": MEAN}):
        assert not is_identity(ReadEffects(ROWS, 6, **fields))  # type: ignore[arg-type]
    assert needs_columns(ReadEffects(ROWS, 6, adc_offset_sigma_lsb=0.1))
    assert has_real_cells(ReadEffects(ROWS, 6, capacitor_sigma_percent=1.0))
    assert not has_real_cells(ReadEffects(ROWS, 6, capacitor_sigma_percent=1.0, capacitors_redrawn=True))
    assert reads_nothing_as_zero(ReadEffects(ROWS, 6), ROWS)
    assert not reads_nothing_as_zero(ReadEffects(ROWS, 6, adc_offset_lsb=1.0), ROWS)


def test_a_window_of_the_rows_in_use_is_an_array_of_that_many_rows() -> None:
    used = make_config(rows=ROWS, step=20, adc_bits=4, window=(0.0, 20.0))
    small = make_config(rows=20, step=20, adc_bits=4)
    x, w = torch.randint(0, 16, (6, 50)).float(), torch.randint(-7, 8, (5, 50)).float()
    one, other = (plain.simulate(linear_reduction(x, w), config, Seed(0)) for config in (used, small))
    assert torch.allclose(one, other, atol=1e-9)


def test_a_window_over_all_that_occurs_and_with_a_step_a_unit_is_exact() -> None:
    config = make_config(rows=ROWS, step=15, adc_bits=4, window=(0.0, 15.0))
    x, w = torch.randint(0, 16, (6, 45)).float(), torch.randint(-7, 8, (5, 45)).float()
    sums = plain.simulate(linear_reduction(x, w), config, Seed(0)).view(6, 5)
    assert torch.equal(sums, x.double() @ w.double().T)


@given(st.floats(0.0, 0.9), st.integers(2, 8), st.integers(0, 2**32 - 1))
def test_drawn_steps_rise_between_their_ends(sigma: float, bits: int, key: int) -> None:
    top = 2**bits - 1
    levels = drawn_thresholds(top, sigma, (key, 0))
    assert len(levels) == top
    assert all(a <= b for a, b in itertools.pairwise(levels))
    assert math.isclose(levels[0], 0.5)
    assert math.isclose(levels[-1], top - 0.5, rel_tol=1e-9)


def test_widths_of_drawn_steps_spread_as_stated() -> None:
    """4094 widths: the standard error of the spread is 1.1 %; 5 of them."""
    widths = torch.tensor(drawn_thresholds(4095, 0.1, (9, 9))).diff()
    assert abs(widths.std() / 0.1 - 1) < 0.055
    assert drawn_thresholds(63, 0.1, (9, 9)) == drawn_thresholds(63, 0.1, (9, 9))
    assert drawn_thresholds(63, 0.1, (9, 9)) != drawn_thresholds(63, 0.1, (9, 8))


@given(st.floats(1, 12), st.integers(1, 12))
def test_enob_is_the_error_power_of_an_ideal_converter(enob: float, bits: int) -> None:
    if enob <= bits:
        power = lsb_rms_of_enob(enob, bits) ** 2 + 1 / 12  # noise and quantisation, in steps
        assert math.isclose(power / 4.0**bits, 1 / (12 * 4.0**enob), rel_tol=1e-9)


def test_figures_of_data_sheets() -> None:
    assert math.isclose(enob_of_sndr(49.92), 8.0, abs_tol=2e-3)  # 6.02 * 8 + 1.76
    assert lsb_rms_of_enob(8, 8) == 0
    assert math.isclose(capacitor_sigma_percent(1.0), 0.664, abs_tol=1e-3)
    assert math.isclose(capacitor_sigma_percent(4.0), 0.332, abs_tol=1e-3)


def test_a_narrower_plane_is_looked_up_at_its_share_of_full_scale() -> None:
    table = tuple(float(v) ** 1.1 for v in range(3 * ROWS + 1))
    effects = ReadEffects(ROWS, 6, mean_mac=table, sigma_mac=(0.3,) * len(table))
    narrow = model_read(MACS, effects, ROWS)
    expected = torch.tensor([table[3 * mac] / 3 for mac in range(ROWS + 1)])
    assert torch.allclose(narrow.mac, expected, rtol=1e-5)
    sigma = narrow.sigma
    assert sigma is not None
    assert torch.allclose(sigma, torch.full_like(sigma, 0.3 / (3 * ROWS)))


def test_reads_rise_with_the_mac_value() -> None:
    for fields in CODE_EFFECTS:
        codes = convert(MACS, ReadEffects(ROWS, 6, **fields), ROWS, None)  # type: ignore[arg-type]
        assert (codes.diff() >= 0).all(), fields
        assert codes.min() >= 0
        assert codes.max() <= 63
