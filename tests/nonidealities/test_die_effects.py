"""What a die fixes: the same chip twice is the same, two are two, and over chips it spreads as its law says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from asim_fx.ir import BatchLayout, BitPlan
from asim_fx.nonidealities.capacitor_mismatch import vary_capacitors
from asim_fx.nonidealities.column_errors import column_matrices
from asim_fx.nonidealities.reads import model_read
from asim_fx.nonidealities.stuck_cells import stick_cells
from asim_fx.ops.config import OpConfig, Operand, ReadEffects
from asim_fx.ops.die import cell_numbers, on_die
from asim_fx.ops.draws import Seed
from asim_fx.ops.engines import plain
from asim_fx.ops.linear import linear_reduction
from asim_fx.ops.matmul import matmul_reduction
from asim_fx.ops.planes import planes_of
from tests.ops.configs import make_config

STATIC: list[dict[str, Any]] = [
    {"capacitor_sigma_percent": 5.0},
    {"adc_offset_sigma_lsb": 1.0},
    {"adc_gain_sigma_percent": 5.0},
    {"dnl_sigma_lsb": 0.3},
    {"stuck_at_0_percent": 10.0},
    {"stuck_at_1_percent": 10.0},
    {"capacitor_sigma_percent": 5.0, "adc_offset_sigma_lsb": 1.0, "stuck_at_1_percent": 5.0, "dnl_sigma_lsb": 0.2},
]
GENERATOR = torch.Generator().manual_seed(0)
X = torch.randint(0, 16, (1, 50), generator=GENERATOR).float().expand(6, 50)
W = torch.randint(-7, 8, (8, 50), generator=GENERATOR).float()


def run(config: OpConfig, seed: Seed, x: Tensor = X, w: Tensor = W) -> Tensor:
    reduction, config = on_die(linear_reduction(x, w), config, seed)
    return plain.simulate(reduction, config, seed).view(x.shape[0], -1)


@pytest.mark.parametrize("fields", STATIC)
def test_a_die_is_itself_and_no_other(fields: dict[str, Any]) -> None:
    config = make_config(rows=31, step=25, adc_bits=8, **fields)
    sums = run(config, Seed(1))
    assert torch.equal(sums, sums[:1].expand_as(sums)), "all vectors meet the same columns"
    assert torch.equal(run(config, Seed(1, first_sample=77)), sums), "so do later samples"
    assert torch.equal(run(config, Seed(5, die=1)), run(config, Seed(9, die=1))), "whatever the noise"
    assert not torch.equal(run(config, Seed(2)), sums)
    assert not torch.equal(run(config, Seed(1, die=2)), sums)


@pytest.mark.parametrize("fields", STATIC)
def test_blocks_do_not_change_a_bit(fields: dict[str, Any]) -> None:
    config = make_config(rows=31, step=25, adc_bits=5, random_percent_fs=1.0, **fields)
    reduction, config = on_die(linear_reduction(X, W), config, Seed(1))
    whole = plain.simulate(reduction, config, Seed(1))
    assert torch.equal(plain.simulate(reduction, config, Seed(1), working_bytes=1), whole)


def test_dies_have_noise_of_their_own() -> None:
    config = make_config(rows=31, step=25, adc_bits=5, random_percent_fs=3.0)
    assert not torch.equal(run(config, Seed(0, die=0)), run(config, Seed(0, die=1)))
    assert torch.equal(run(config, Seed(0, die=1)), run(config, Seed(0, die=1)))


@pytest.mark.parametrize("fields", STATIC)
def test_all_samples_of_a_batch_meet_the_same_die(fields: dict[str, Any]) -> None:
    a = torch.randint(-7, 8, (1, 3, 4, 20), generator=GENERATOR).float().repeat(2, 1, 1, 1)
    b = torch.randint(-7, 8, (1, 3, 20, 5), generator=GENERATOR).float().repeat(2, 1, 1, 1)
    weight = Operand(4, True, "tensor", BatchLayout(300, 300))
    config = OpConfig("av", Operand(4, True), weight, BitPlan.analog(4, (1,) * 4), 20, ReadEffects(20, 4, **fields))
    reduction, config = on_die(matmul_reduction(a, b, stored_first=False), config, Seed(1))
    sums = plain.simulate(reduction, config, Seed(1)).view(2, 3, 4, 5)
    assert torch.equal(sums[0], sums[1])


def test_a_fixed_die_and_a_redrawn_one_agree_in_the_variance_of_a_read() -> None:
    """20,000 columns: the standard error of a variance is 1 %; 5 of them. 24 of 64 capacitors are charged."""
    rows, charged, percent = 64, 24, 3.0
    strengths = torch.zeros(1, 40, 20_000, 1, dtype=torch.float64)
    strengths[:, :charged] = 1
    cells = torch.arange(40 * 20_000).view(1, 40, 20_000)
    columns = vary_capacitors(strengths, cells, percent, rows, (3, 4)).sum(dim=1).flatten() / rows
    effects = ReadEffects(rows, 6, capacitor_sigma_percent=percent, capacitors_redrawn=True)
    sigma = model_read(torch.tensor([charged]), effects, rows).sigma
    assert sigma is not None
    assert abs(float(columns.var()) / float(sigma**2) - 1) < 0.05
    assert abs(float(columns.mean()) - charged / rows) < 5 * float(sigma) / 20_000**0.5 + 1e-5


def test_a_column_whose_capacitors_are_all_charged_is_at_full_scale() -> None:
    strengths = torch.ones(1, 64, 50, 1, dtype=torch.float64)
    columns = vary_capacitors(strengths, torch.arange(64 * 50).view(1, 64, 50), 5.0, 64, (3, 4)).sum(dim=1)
    assert torch.allclose(columns, torch.full_like(columns, 64), atol=64 * 2.0**-20)


def test_converters_spread_as_stated_and_are_shared() -> None:
    """40,000 converters: standard errors 0.5 % of each mean and 0.35 % of each spread; 5 of them."""
    config = make_config(rows=31, adc_bits=5, adc_gain_sigma_percent=2.0, adc_offset_sigma_lsb=0.5)
    cells = torch.arange(31 * 10_000).view(1, 31, 10_000)
    columns = [column_matrices(cells, 4, config, Seed(1))(0, plane) for plane in range(4)]
    gain = torch.stack([c.gain for c in columns if c]).double() - 1
    offset = torch.stack([c.offset for c in columns if c]).double() * 31
    for drawn, sigma in ((gain, 0.02), (offset, 0.5)):
        assert abs(drawn.mean()) < 5 * sigma / 200
        assert abs(drawn.std() / sigma - 1) < 0.018
    assert abs(torch.corrcoef(torch.stack([gain.flatten(), offset.flatten()]))[0, 1]) < 0.025

    shared = make_config(rows=31, adc_bits=5, adc_offset_sigma_lsb=0.5, columns_per_adc=8)
    found = [column_matrices(cells, 4, shared, Seed(1))(0, plane) for plane in range(4)]
    offsets = torch.stack([c.offset.flatten() for c in found if c], dim=1)  # outputs, planes
    assert torch.equal(offsets[0::2], offsets[1::2]), "two outputs of four planes share a converter"
    assert torch.equal(offsets, offsets[:, :1].expand_as(offsets))
    assert offsets.unique().numel() > 4900


def test_row_tiles_have_converters_of_their_own() -> None:
    config = make_config(rows=31, step=20, adc_bits=5, adc_offset_sigma_lsb=0.5)
    columns = column_matrices(cell_numbers(linear_reduction(X, W), config), 4, config, Seed(1))
    first, second = columns(0, 0), columns(1, 0)
    assert first is not None
    assert second is not None
    assert not torch.equal(first.offset, second.offset)


def test_an_offset_moves_the_code_of_its_column() -> None:
    config = make_config(rows=31, adc_bits=5, adc_offset_sigma_lsb=2.0, input_bits=1, weight_bits=2)
    x, w = torch.ones(1, 16), torch.ones(40, 16)
    columns = column_matrices(cell_numbers(linear_reduction(x, w), config), 2, config, Seed(1))
    offsets = columns(0, 0)
    sign = columns(0, 1)
    assert offsets is not None
    assert sign is not None
    low = torch.round((torch.tensor(16.0) / 31 + offsets.offset).clamp(0, 1) * 31)
    high = torch.round(sign.offset.clamp(0, 1) * 31)
    assert torch.equal(run(config, Seed(1), x, w), (low - 2 * high).view(1, 40).double())


def test_stuck_cells_are_as_many_as_stated_and_hold_what_they_hold() -> None:
    """160,000 cells: the standard error of a share of 5 % is 0.055 %; 5 of them."""
    cells, bits = torch.arange(40_000), planes_of(Operand(4, False), (1, 1, 1, 1))
    zeros, ones = torch.zeros(40_000, dtype=torch.int64), torch.full((40_000,), 15)  # no cell holds 1; every cell does
    effects = ReadEffects(8, stuck_at_0_percent=5.0, stuck_at_1_percent=3.0)
    up = stick_cells(zeros, cells, bits, effects, (1, 2))
    down = ~stick_cells(ones, cells, bits, effects, (1, 2)) & 15
    shares = [sum(int(((held >> bit) & 1).sum()) for bit in range(4)) / 160_000 for held in (down, up)]
    assert abs(shares[0] - 0.05) < 0.0028
    assert abs(shares[1] - 0.03) < 0.0022
    assert not (up & down).any(), "no cell is stuck at both"
    everything = ReadEffects(8, stuck_at_1_percent=100.0)
    assert stick_cells(zeros, cells, bits, everything, (1, 2)).unique().tolist() == [15]
    wide = planes_of(Operand(4, False), (3, 1))
    held = stick_cells(zeros, cells, wide, replace(everything, stuck_at_1_percent=50.0), (1, 2))
    assert sorted(held.unique().tolist()) == [0, 7, 8, 15], "a cell of three bits is stuck as a whole"


@pytest.mark.parametrize(("signed", "value"), [(True, -1.0), (False, 15.0)])
def test_codes_whose_cells_all_hold_1(signed: bool, value: float) -> None:
    config = make_config(stuck_at_1_percent=100.0, weight_signed=signed)
    held, _ = on_die(linear_reduction(X, torch.zeros(8, 50)), config, Seed(1))
    assert held.stored.unique().tolist() == [value]


def test_stuck_cells_are_wrong_in_digital_cycles_too() -> None:
    config = make_config(rows=31, step=25, adc_bits=5, hybrid=9, stuck_at_1_percent=20.0)
    assert not torch.equal(run(config, Seed(1)), X.double() @ W.double().T)
