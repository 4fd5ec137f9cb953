from __future__ import annotations

from dataclasses import replace

import pytest

from asim_fx.errors import UsageError
from asim_fx.ir import BitPlan
from asim_fx.ops.schedule import ExactPart, schedule
from tests.ops.configs import make_config


def test_ideal_and_lossless_operations_are_one_product() -> None:
    for config in (make_config(), make_config(rows=15, adc_bits=4), make_config(rows=5, adc_bits=4, encoding=2)):
        work = schedule(config)
        assert not work.parts
        assert work.exact == (ExactPart(tuple(range(len(work.streamed))), (0, 1, 2, 3)),)


@pytest.mark.parametrize(
    "effects",
    [
        {"random_percent_fs": 0.1},
        {"nonlinear_percent_fs": 0.1},
        {"compression_per_mac": 0.1},
        {"cell_variation_percent": 1.0},
    ],
)
def test_any_effect_makes_a_lossless_read_lossy(effects: dict[str, float]) -> None:
    work = schedule(make_config(rows=15, adc_bits=4, **effects))
    assert not work.exact
    assert sum(len(part.stored) for part in work.parts) == 16


def test_a_coarse_group_is_read_though_a_narrow_one_is_exact() -> None:
    """Full scale 15 is lossless at 4 bits, full scale 3 * 15 is not: planes of widths 2, 2 and a sign of 1."""
    work = schedule(make_config(rows=15, adc_bits=4, input_bits=5, signed=True, encoding=2))
    assert {part.streamed for part in work.parts} == {0, 1}
    assert work.exact == (ExactPart((2,), (0, 1, 2, 3)),)


def test_hybrid_cells_collapse_to_few_products() -> None:
    work = schedule(make_config(hybrid=3, random_percent_fs=1.0))
    assert len(work.exact) == 3
    assert sum(len(part.streamed) * len(part.stored) for part in work.exact) == 6
    assert sum(len(part.stored) for part in work.parts) == 10


def test_votes_without_spread_are_read_once() -> None:
    work = schedule(make_config(adc_bits=3, votes=(2, 5, "mode")))
    assert {part.reads for part in work.parts} == {1}
    noisy = schedule(make_config(adc_bits=3, votes=(2, 5, "mode"), random_percent_fs=1.0))
    assert sum(len(part.stored) * part.reads for part in noisy.parts) == 13 + 3 * 5


def test_digital_cycles_may_pass_the_converter() -> None:
    work = schedule(make_config(hybrid=1, adc_bits=3, digital_cycles="adc", random_percent_fs=1.0))
    assert [part.stored for part in work.parts if not part.analog] == [(3,)]
    assert not work.exact
    lossless = schedule(make_config(rows=15, hybrid=1, adc_bits=4, digital_cycles="adc", random_percent_fs=1.0))
    assert lossless.exact == (ExactPart((3,), (3,)),)


def test_contradictions_name_the_site() -> None:
    with pytest.raises(UsageError, match=r"site.*vote: mode.*adc.bits"):
        schedule(make_config(votes=(1, 3, "mode"), random_percent_fs=1.0))
    with pytest.raises(UsageError, match=r"site.*one read for each tile"):
        schedule(make_config(parallel=True))
    with pytest.raises(UsageError, match=r"site.*3 x 4 bits"):
        schedule(replace(make_config(), plan=BitPlan.analog(3, (1, 1, 1, 1))))
