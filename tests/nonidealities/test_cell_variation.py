from __future__ import annotations

import torch

from asim_fx.ir import BatchLayout, BitPlan
from asim_fx.nonidealities.cell_variation import GRID_BITS, chip_of, vary_cells
from asim_fx.ops.config import OpConfig, Operand, ReadEffects
from asim_fx.ops.draws import Seed
from asim_fx.ops.engines.plain import simulate
from asim_fx.ops.linear import linear_reduction
from asim_fx.ops.matmul import matmul_reduction
from tests.ops.configs import make_config

KEY = (5, 6)


def test_strengths_are_normal_around_the_bit() -> None:
    """80,000 cells: standard errors 1.8e-4 of the mean and 1.3e-4 of the spread at 5 %; 5 of them."""
    bits = torch.tensor([0.0, 1.0]).repeat(40_000).view(-1, 4)
    strengths = vary_cells(bits, torch.arange(20_000), 5.0, KEY)
    deviation = strengths - bits
    assert abs(deviation.mean()) < 9e-4
    assert abs(deviation.std() - 0.05) < 7e-4
    zeros, ones = deviation[bits == 0], deviation[bits == 1]
    assert abs(zeros.std() - ones.std()) < 1.3e-3


def test_strengths_lie_on_the_grid() -> None:
    strengths = vary_cells(torch.ones(100, 3), torch.arange(100), 10.0, KEY) * 2.0**GRID_BITS
    assert torch.equal(strengths, strengths.round())


def test_a_chip_is_its_seed() -> None:
    assert chip_of(Seed(3, 0), redrawn=False) == chip_of(Seed(3, 99), redrawn=False)
    assert chip_of(Seed(3, 0), redrawn=True) != chip_of(Seed(3, 99), redrawn=True)


def linear_config(**effects: object) -> OpConfig:
    return make_config(rows=20, adc_bits=6, cell_variation_percent=10.0, **effects)  # type: ignore[arg-type]


def test_a_fixed_die_gives_the_same_column_for_all_vectors() -> None:
    x = torch.randint(0, 16, (1, 40)).float().expand(6, 40)
    w = torch.randint(-7, 8, (5, 40)).float()
    sums = simulate(linear_reduction(x, w), linear_config(), Seed(1)).view(6, 5)
    assert torch.equal(sums, sums[:1].expand(6, 5))
    assert torch.equal(simulate(linear_reduction(x, w), linear_config(), Seed(1, 50)).view(6, 5), sums)
    assert not torch.equal(simulate(linear_reduction(x, w), linear_config(), Seed(2)).view(6, 5), sums)
    redrawn = linear_config(cell_variation_redrawn=True)
    one, other = (simulate(linear_reduction(x, w), redrawn, Seed(1, first)) for first in (0, 6))
    assert not torch.equal(one, other)


def test_equal_weights_differ_as_cells_do() -> None:
    x, w = torch.full((1, 40), 15.0), torch.full((50, 40), 7.0)
    sums = simulate(linear_reduction(x, w), linear_config(), Seed(1))
    assert sums.unique().numel() > 5


def test_all_samples_of_a_batch_use_the_same_cells_of_a_head() -> None:
    a = torch.randint(-7, 8, (1, 3, 4, 20)).float().repeat(2, 1, 1, 1)
    b = torch.randint(-7, 8, (1, 3, 20, 5)).float().repeat(2, 1, 1, 1)
    plan = BitPlan.analog(4, (1, 1, 1, 1))
    weight = Operand(4, True, "tensor", BatchLayout(300, 300))
    config = OpConfig("av", Operand(4, True), weight, plan, 20, ReadEffects(20, 6, cell_variation_percent=10.0))
    sums = simulate(matmul_reduction(a, b, stored_first=False), config, Seed(1)).view(2, 3, 4, 5)
    assert torch.equal(sums[0], sums[1])


def test_variation_of_the_sum() -> None:
    """No converter, nothing saturates: variance = sum over cells of (streamed code * place)**2 * sigma**2.

    4,000 outputs: the variance's standard error is 2.2 %; 5 of them.
    """
    x, w = torch.full((1, 40), 5.0), torch.full((4000, 40), 3.0)
    effects = ReadEffects(160, cell_variation_percent=5.0, parallel=True)
    config = OpConfig("p", Operand(4, False), Operand(4, True), BitPlan.analog(1, (4,)), 40, effects)
    error = simulate(linear_reduction(x, w), config, Seed(1)) - 40 * 15
    expected = 40 * 5**2 * (1 + 4 + 16 + 64) * 0.05**2
    assert abs(error.var() / expected - 1) < 0.11
    assert abs(error.mean()) < 5 * (expected / 4000) ** 0.5


def test_digital_cells_do_not_vary() -> None:
    x, w = torch.full((1, 40), 5.0), torch.full((6, 40), 3.0)
    config = linear_config(hybrid=9)
    assert torch.equal(simulate(linear_reduction(x, w), config, Seed(1)), torch.full((6,), 600.0).double())
