from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asim_fx.cost.estimate import site_cost
from asim_fx.cost.figure import Band
from asim_fx.ir import SitePlan, Target
from asim_fx.spec.schema import Adc, Macro
from tests.cost.plans import macro, plan, site

LEVELS = st.integers(0, 14)


def cost(made: SitePlan):
    found = site_cost(made)
    assert found is not None
    return found


def joules(made: SitePlan, part: str) -> float:
    figure = getattr(cost(made).energy, part)
    return 0.0 if figure is None else figure.value


def test_one_site_by_hand():
    """K 256 on 256 rows, 32 outputs x 8 bits on 256 columns: one array; 10 vectors x 32 outputs x 64 cycles."""
    found = cost(plan())
    reads = 10 * 32 * 64
    assert joules(plan(), "adc") == pytest.approx(reads * 8 * 8.39655e-15)
    assert joules(plan(), "array") == pytest.approx(reads * 6.95096 * 256 * 0.81e-15)
    adders = 8 * (8 * 7 + 8 * 2.5 + 24)  # a tree of 8 codes and a 24-bit accumulator, for each of 8 streamed planes
    registers = 8 * 24
    assert joules(plan(), "accumulation") == pytest.approx(320 * (adders * 4.2 + registers * 2.1) * 0.81e-15)
    assert (found.energy.digital, found.energy.loading, found.energy.column) == (None, None, None)
    assert found.latency is not None
    assert found.latency.value == pytest.approx(10 * 8 * 8 * (0.00653 * 256 + 0.640) * 1e-9)
    assert found.setup is not None
    assert found.setup.value == pytest.approx(256 * 32 * 8 * 0.35e-15 * 257 * 0.81)
    assert found.energy.bank_j == pytest.approx(joules(plan(), "adc") + joules(plan(), "array"))


def test_hybrid_cycles_by_hand():
    """Three cycles of level 0 and 1, each a dot product of 256 products, for 320 outputs."""
    expected = 3 * 320 * 0.246588e-15 * 256**1.314 * 0.81
    assert joules(plan(hybrid=2), "digital") == pytest.approx(expected)


def test_an_integer_site_by_hand():
    made = plan(target=Target.INTEGER)
    assert joules(made, "digital") == pytest.approx(8 * 320 * 0.246588e-15 * (256 * 8) ** 1.314 * 0.81)
    assert (cost(made).latency, cost(made).area) == (None, None)


def test_a_float_site_is_not_on_the_chip():
    assert site_cost(plan(target=Target.FLOAT)) is None


def test_activations_are_written_for_every_image_and_weights_are_not():
    stored = plan(site(static_weight=False))
    assert joules(stored, "loading") == pytest.approx(256 * 32 * 8 * 0.35e-15 * 257 * 0.81)
    assert cost(stored).setup is None
    assert cost(plan()).energy.loading is None
    longer = cost(stored).latency, cost(plan()).latency
    assert longer[0].value == pytest.approx(longer[1].value * (10 * 8 + 256) / (10 * 8))


def test_a_row_that_takes_its_own_time_to_write():
    stored = plan(site(static_weight=False), macro=macro(row_write_ns=100.0))
    assert cost(stored).latency.value - cost(plan()).latency.value == pytest.approx(256 * 100e-9)


def test_row_tiles_multiply_reads_and_arrays():
    one, three = plan(), plan(site(k=700))
    assert joules(three, "adc") == pytest.approx(3 * joules(one, "adc"))
    assert cost(three).adc_area.value == pytest.approx(3 * cost(one).adc_area.value)
    assert cost(three).latency == cost(one).latency


@given(LEVELS, st.sampled_from(["uiuc", "accelergy"]), st.integers(1, 8))
def test_one_more_digital_level_never_adds_adc_energy_or_time(levels: int, model: str, encoding: int):
    chip = macro(model=model)
    before, after = (plan(macro=chip, hybrid=level, encoding=encoding) for level in (levels, levels + 1))
    for part in ("adc", "array", "accumulation"):
        assert joules(after, part) <= joules(before, part)
    assert joules(after, "digital") >= joules(before, "digital")
    assert cost(after).latency.value <= cost(before).latency.value


@given(LEVELS, st.integers(1, 14), st.integers(1, 6))
def test_one_more_sample_always_costs_energy(hybrid: int, more: int, samples: int):
    vote = hybrid + more
    before, after = (plan(hybrid=hybrid, vote=vote, samples=count) for count in (samples, samples + 1))
    assert joules(after, "adc") > joules(before, "adc")
    assert joules(after, "accumulation") > joules(before, "accumulation")
    assert cost(after).energy.total_j > cost(before).energy.total_j
    assert cost(after).latency.value >= cost(before).latency.value


@given(st.integers(4, 11), st.sampled_from(["uiuc", "accelergy"]))
def test_one_more_bit_of_the_converter_always_costs(bits: int, model: str):
    before, after = (cost(plan(macro=macro(adc_bits=b, model=model))) for b in (bits, bits + 1))
    assert after.energy.total_j > before.energy.total_j
    assert after.latency.value > before.latency.value
    if model == "uiuc":  # a slower converter of accelergy is smaller, and finer ones are slower here
        assert after.adc_area.value > before.adc_area.value


@given(st.integers(2, 15), st.integers(2, 15))
def test_one_more_bit_of_an_operand_always_costs(weight_bits: int, input_bits: int):
    one = cost(plan(weight_bits=weight_bits, input_bits=input_bits)).energy.total_j
    assert cost(plan(weight_bits=weight_bits + 1, input_bits=input_bits)).energy.total_j > one
    assert cost(plan(weight_bits=weight_bits, input_bits=input_bits + 1)).energy.total_j > one


@given(LEVELS, LEVELS, st.integers(1, 5))
def test_the_total_is_the_sum_of_its_parts_and_lies_in_the_band(hybrid: int, vote: int, samples: int):
    energy = cost(plan(site(static_weight=False), hybrid=hybrid, vote=vote, samples=samples)).energy
    assert energy.total_j == pytest.approx(sum(part.value for part in energy.parts().values()))
    assert energy.low_j < energy.total_j < energy.high_j


def test_what_is_unknown_is_none_and_never_0():
    bare = cost(plan(macro=Macro(rows=256, columns=256)))
    assert (bare.energy.total_j, bare.energy.low_j, bare.energy.bank_j) == (None, None, None)
    assert "`cost.node_nm`" in bare.energy.column.model
    assert bare.latency.value is not None  # the converter's delay needs no node
    assert bare.area.value is None
    ideal = cost(plan(macro=macro(adc_bits="ideal")))
    assert (ideal.energy.total_j, ideal.latency.value, ideal.adc_area.value) == (None, None, None)
    assert ideal.energy.array.value > 0
    coarse = cost(plan(macro=macro(adc_bits=3, model="accelergy")))
    assert coarse.energy.total_j is None
    assert "below 4 bits" in coarse.energy.adc.model


@pytest.mark.parametrize(
    ("circuit", "domain", "factor"),
    [
        ("auto", "charge", 3.9),
        ("auto", "current", 2.4),
        ("charge-summing", "charge", 6.9),
        ("current", "charge", 2.4),
    ],
)
def test_bands_are_those_of_the_circuit(circuit: str, domain: str, factor: float):
    chip = macro(circuit=circuit).model_copy(update={"domain": domain})
    energy = cost(plan(macro=chip)).energy
    assert energy.adc.band == energy.array.band == Band.within(factor)
    assert cost(plan(macro=chip, hybrid=2)).energy.digital.band == Band.within(2.5)


def test_area_of_given_cells_and_of_a_given_macro():
    cells = cost(plan(macro=macro(cell_area_um2=0.5)))
    assert cells.area.value == pytest.approx(cells.adc_area.value + 0.5e-6 * 256 * 256)
    assert cost(plan(site(n=64), macro=macro(macro_area_mm2=0.2))).area.value == pytest.approx(0.4)


def test_shared_converters_take_less_room_and_more_time():
    alone, shared = cost(plan()), cost(plan(macro=macro(columns_per_adc=4)))
    assert shared.adc_area.value == pytest.approx(alone.adc_area.value / 4)
    assert shared.latency.value == pytest.approx(alone.latency.value * 4)
    assert shared.energy == alone.energy
    of_the_converter = plan(macro=macro().model_copy(update={"adc": Adc(columns_per_adc=4)}))
    assert cost(of_the_converter) == shared


def test_a_transposed_convolution_costs_its_own_reads():
    made = plan()
    tiles = replace(made.tiles, row_reads=7)
    assert joules(replace(made, tiles=tiles), "adc") == pytest.approx(joules(made, "adc") * 7 / 10)


def test_everything_digital_still_costs_and_takes_time():
    made = plan(hybrid=15)
    assert made.reads == 0
    assert joules(made, "adc") == joules(made, "accumulation") == 0
    assert joules(made, "digital") == pytest.approx(64 * 320 * 0.246588e-15 * math.pow(256, 1.314) * 0.81)
    assert cost(made).latency == cost(plan()).latency


def test_cells_beyond_those_read_at_once_take_area_and_weigh_on_writes():
    tall, plain = (cost(plan(macro=macro(cell_area_um2=0.5, **more))) for more in ({"cell_rows": 512}, {}))
    assert tall.area.value - plain.area.value == pytest.approx(0.5e-6 * 256 * 256)
    assert tall.setup.value == pytest.approx(plain.setup.value * 513 / 257)
