"""Noise drawn by compiled code where the plain engine does the rest: the bits of torch alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from asim_fx.encoding import CellLayout
from asim_fx.ir import BatchLayout
from asim_fx.ops.config import OpConfig
from asim_fx.ops.die import on_die
from asim_fx.ops.draws import Seed, output_counters, read_words
from asim_fx.ops.engines import plain
from asim_fx.ops.engines.cpu import engine
from asim_fx.ops.engines.cpu.noise import draw_compiled
from asim_fx.ops.engines.cpu.plan import not_covered
from asim_fx.ops.linear import linear_reduction
from asim_fx.ops.normal import normal
from tests.ops.configs import make_config
from tests.ops.engines.test_cpu_engine import random_codes

DIFFERENCES = CellLayout("differential", subtract="analog")

UNCOVERED: dict[str, dict[str, Any]] = {
    "a die": {"adc_bits": 5, "random_percent_fs": 1.0, "cell_variation_percent": 5.0},
    "converters of their own": {"adc_bits": 6, "random_percent_fs": 1.0, "adc_gain_sigma_percent": 2.0},
    "an ideal converter": {"adc_bits": None, "random_percent_fs": 1.0},
    "many codes": {"adc_bits": 9, "random_percent_fs": 4.0, "nonlinear_percent_fs": 2.0},
    "a fine converter, from a table": {"adc_bits": 12, "random_percent_fs": 0.05},
    "differences of columns": {"adc_bits": 6, "random_percent_fs": 1.0, "stored": DIFFERENCES},
    "differences, an ideal converter": {"adc_bits": None, "random_percent_fs": 1.0, "stored": DIFFERENCES},
    "votes": {"adc_bits": 9, "random_percent_fs": 4.0, "votes": (3, 3, "median")},
}


@pytest.mark.parametrize("effects", UNCOVERED.values(), ids=UNCOVERED)
def test_the_same_bits(effects: dict[str, Any]) -> None:
    config = make_config(rows=20, layout=BatchLayout(23, 23), **effects)
    assert not_covered(config)
    x, w = random_codes((60, 70), 4, signed=False, seed=0), random_codes((23, 70), 4, signed=True, seed=1)
    seed = Seed(3, 2**33)
    reduction, config = on_die(linear_reduction(x, w), config, seed)
    assert torch.equal(engine.simulate(reduction, config, seed), plain.simulate(reduction, config, seed))


def test_every_word_gives_the_normal_number_of_the_plain_engine() -> None:
    """Both signs, all octaves that 300,000 words reach, and every place of a read within its block."""
    config: OpConfig = make_config(adc_bits=None, random_percent_fs=1.0)
    seed = Seed(1)
    flat = torch.arange(300_000).view(1, 300, 1000)
    outputs = output_counters(flat, None, 300_000, seed)
    words = read_words(outputs, range(9), seed.key(config.stream))
    convert = draw_compiled(flat, 300_000, config, seed)(range(9))
    half = torch.full(flat.shape, 8.0)
    for read in range(9):
        expected = (torch.full((), 8 / 16) + torch.tensor(0.01) * normal(words[read])).clamp(0, 1)
        assert torch.equal(convert(half, 16, read, None), expected)
