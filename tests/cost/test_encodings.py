"""What encodings and cells of several bits cost: columns, conversions and digital work, by hand."""

from __future__ import annotations

from typing import Any

import pytest

from asim_fx.cost.estimate import site_cost
from asim_fx.cost.latency import columns_per_converter, rows_per_converter
from asim_fx.ir import SitePlan
from asim_fx.spec.schema import Macro
from tests.cost.plans import COST, plan

PAIRS = {"weight_encoding": "differential"}
ANALOG = {**PAIRS, "differential": {"subtract": "analog"}}
OFFSET = {"weight_encoding": "offset"}


def stored(weight_bits: int = 8, hybrid: int = 0, **fields: Any) -> SitePlan:
    """256 x 32 weights on an array of 256 x 256; 10 vectors of 8 bits."""
    return plan(
        macro=Macro(**{"rows": 256, "columns": 256, "cost": COST, **fields}), weight_bits=weight_bits, hybrid=hybrid
    )


@pytest.mark.parametrize(
    ("fields", "columns", "conversions"),
    [
        ({}, 8, 8),
        ({"cell_bits": 2}, 5, 5),  # four cells for seven bits, and the sign
        ({"cell_bits": 7}, 2, 2),
        (OFFSET, 8, 8),
        ({**OFFSET, "cell_bits": 3}, 3, 3),
        ({**OFFSET, "cell_bits": 8}, 1, 1),
        (PAIRS, 14, 14),
        ({**PAIRS, "cell_bits": 4}, 4, 4),
        (ANALOG, 14, 7),
        ({**ANALOG, "cell_bits": 4}, 4, 2),
    ],
)
def test_columns_and_conversions(fields: dict[str, Any], columns: int, conversions: int) -> None:
    made = stored(**fields)
    assert made.tiles is not None
    assert made.tiles.column_tiles == -(-32 * columns // 256)
    assert made.tiles.utilisation == 32 * columns / (256 * made.tiles.column_tiles)
    assert made.reads == 10 * 32 * 8 * conversions
    cost = site_cost(made)
    assert cost is not None
    assert cost.energy.adc is not None
    assert cost.energy.adc.value == pytest.approx(made.reads * 8 * 8.39655e-15)
    assert cost.setup is not None
    assert cost.setup.value == pytest.approx(256 * 32 * columns * 0.35e-15 * 257 * 0.81)
    assert any("cells of several bits" in note for note in cost.notes) == ("cell_bits" in fields)


def array_j(made: SitePlan) -> float:
    cost = site_cost(made)
    assert cost is not None
    assert cost.energy.array is not None
    assert cost.energy.array.value is not None
    return cost.energy.array.value


def test_a_difference_of_two_columns_charges_both() -> None:
    assert array_j(stored(**ANALOG)) == pytest.approx(array_j(stored(**PAIRS)))
    assert array_j(stored(**PAIRS)) == pytest.approx(array_j(stored()) * 14 / 8)


def digital_j(made: SitePlan) -> float:
    cost = site_cost(made)
    assert cost is not None
    return 0.0 if cost.energy.digital is None else cost.energy.digital.value or 0.0


def test_offset_binary_adds_up_the_inputs_once_for_all_outputs() -> None:
    assert digital_j(stored()) == 0
    dot_product = 0.246588e-15 * 256**1.314 * 0.81
    assert digital_j(stored(**OFFSET)) == pytest.approx(10 * 8 * dot_product)
    assert digital_j(stored(**OFFSET, hybrid=2)) == pytest.approx((10 * 8 + 320 * 3) * dot_product)


def test_digital_cycles_of_wide_cells_are_wide() -> None:
    one = 320 * 0.246588e-15 * 0.81
    assert digital_j(stored(**OFFSET, cell_bits=4, hybrid=1)) == pytest.approx(
        10 * 8 * one / 320 * 256**1.314 + one * (256 * 4) ** 1.314
    )
    assert digital_j(stored(**PAIRS, hybrid=1)) == pytest.approx(2 * one * 256**1.314), "a positive and a negative one"
    assert digital_j(stored(**ANALOG, hybrid=1)) == pytest.approx(one * 256**1.314)


@pytest.mark.parametrize(
    ("fields", "columns_per_adc", "columns", "rows"),
    [
        ({}, 1, 1, 1),
        ({}, 4, 4, 4),
        (PAIRS, 1, 1, 1),
        (PAIRS, 4, 4, 4),
        (ANALOG, 1, 2, 1),
        (ANALOG, 4, 4, 2),
        ({"weights": "parallel"}, 8, 8, 1),
        ({**ANALOG, "weights": "parallel"}, 15, 15, 2),
    ],
)
def test_columns_that_share_a_converter(fields: dict[str, Any], columns_per_adc: int, columns: int, rows: int) -> None:
    made = stored(**fields, cost={**COST.model_dump(exclude_unset=True), "columns_per_adc": columns_per_adc})
    assert columns_per_converter(made.settings.macro) == columns
    assert rows_per_converter(made) == rows
