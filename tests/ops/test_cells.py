"""Encodings of the stored operand: exact where nothing is lost, and read as loops over physical columns say."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from asim_fx.encoding import CellLayout
from asim_fx.errors import UsageError
from asim_fx.ir import BitPlan
from asim_fx.ops.cells import cell_planes, holds_codes, stored_planes, words_of
from asim_fx.ops.config import OpConfig, Operand, loads
from asim_fx.ops.die import on_die
from asim_fx.ops.draws import Seed
from asim_fx.ops.engines import plain
from asim_fx.ops.engines.choice import engine_for
from asim_fx.ops.linear import linear_reduction
from asim_fx.ops.planes import extract, partial_codes
from tests.ops.configs import make_config

LAYOUTS = st.builds(
    CellLayout,
    st.sampled_from(["twos-complement", "offset", "differential"]),
    st.integers(1, 8),
    st.sampled_from(["digital", "analog"]),
)
TWOS, OFFSET, PAIRS = CellLayout(), CellLayout("offset"), CellLayout("differential")
ANALOG = CellLayout("differential", subtract="analog")
EACH = [TWOS, OFFSET, PAIRS, ANALOG, CellLayout("offset", 3), CellLayout("differential", 2, "analog")]


def codes(shape: tuple[int, ...], operand: Operand, seed: int) -> Tensor:
    low = -operand.levels if operand.signed else 0
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(low, operand.levels + 1, shape, generator=generator).float()


def run(config: OpConfig, x: Tensor, w: Tensor, seed: Seed | None = None, engine: Any = plain.simulate) -> Tensor:
    seed = seed or Seed(0)
    reduction, config = on_die(linear_reduction(x, w), config, seed)
    sums: Tensor = engine(reduction, config, seed).view(len(x), len(w))
    return sums


@given(LAYOUTS, st.integers(2, 16), st.booleans(), st.booleans())
def test_cells_add_up_to_every_code(layout: CellLayout, bits: int, signed: bool, parallel: bool) -> None:
    plan = {"stored": layout, "weight_bits": bits, "weight_signed": signed}
    config = make_config(**plan, parallel=parallel and layout.encoding != "offset")
    operand = config.weight
    values = codes((500,), operand, bits)
    values[:2] = torch.tensor([operand.levels, -operand.levels if signed else 0])
    words = words_of(values, config)
    held = words if not holds_codes(config) else values.long()
    planes = stored_planes(config)
    parts = [extract(held.int(), plane) for plane in planes]
    assert torch.equal(
        sum(plane.place * part.double() for plane, part in zip(planes, parts, strict=True)), values.double()
    )
    assert torch.equal(partial_codes(held.float() if holds_codes(config) else held, planes, range(len(planes))), values)
    for cell in cell_planes(config):
        digits = extract(words.int(), cell)
        assert digits.min() >= 0
        assert digits.max() <= cell.largest < 2**layout.cell_bits
    assert int(words.max()) < 2 ** sum(cell.width for cell in cell_planes(config))


def test_what_the_cells_hold_by_hand() -> None:
    values = torch.tensor([5.0, -5.0, 0.0])
    by_layout = {
        CellLayout(): [[1, 0, 1, 0], [1, 1, 0, 1], [0, 0, 0, 0]],
        CellLayout(cell_bits=2): [[1, 1, 0], [3, 0, 1], [0, 0, 0]],
        CellLayout("offset"): [[1, 0, 1, 1], [1, 1, 0, 0], [0, 0, 0, 1]],
        CellLayout("offset", 3): [[5, 1], [3, 0], [0, 1]],
        CellLayout("differential"): [[1, 0, 0, 0, 1, 0], [0, 1, 0, 0, 0, 1], [0] * 6],
        CellLayout("differential", 2): [[1, 0, 1, 0], [0, 1, 0, 1], [0] * 4],
        CellLayout("differential", 4): [[5, 0], [0, 5], [0, 0]],
    }
    for layout, expected in by_layout.items():
        config = make_config(stored=layout)
        words = words_of(values, config).int()
        assert [[int(extract(word, cell)) for cell in cell_planes(config)] for word in words] == expected
        assert len(expected[0]) == layout.columns(4, signed=True)


@settings(max_examples=60, deadline=None)
@given(
    LAYOUTS, st.integers(2, 16), st.integers(2, 9), st.booleans(), st.booleans(), st.integers(1, 4),
    st.integers(1, 5), st.integers(1, 70), st.integers(1, 9), st.integers(0, 6), st.booleans(),
)  # fmt: skip
def test_a_lossless_converter_gives_the_exact_integers(
    layout: CellLayout, weight_bits: int, input_bits: int, signed: bool, weight_signed: bool, encoding: int,
    vectors: int, length: int, outputs: int, hybrid: int, ideal: bool,
) -> None:  # fmt: skip
    """One row of cells to a tile and a converter with a code for every MAC value, or none; half of them by reads."""
    config = make_config(
        rows=length if ideal else 1,
        input_bits=input_bits,
        weight_bits=weight_bits,
        signed=signed,
        encoding=encoding if ideal else 1,
        hybrid=hybrid,
        stored=layout if ideal else CellLayout(layout.encoding, 1, layout.subtract),
        weight_signed=weight_signed,
        adc_bits=None if ideal else 5,
    )
    x, w = codes((vectors, length), config.input, length), codes((outputs, length), config.weight, outputs)
    assert torch.equal(run(config, x, w), x.double() @ w.double().T)
    read = make_config(
        rows=length,
        input_bits=input_bits,
        weight_bits=weight_bits,
        signed=signed,
        encoding=encoding,
        hybrid=hybrid,
        stored=layout,
        weight_signed=weight_signed,
        adc_bits=24,
        adc_gain_sigma_percent=1e-12,  # so that nothing collapses
    )
    exact = x.double() @ w.double().T
    found = run(read, x, w)
    # Half a step of 24 bits for each read; the converters' gains err by less.
    largest = sum(abs(plane.place) * plane.largest for plane in stored_planes(read)) * 2**input_bits * length
    assert (found - exact).abs().max() <= 2.0**-21 * largest


def by_columns(x: Tensor, w: Tensor, config: OpConfig) -> Tensor:
    """Add up the reads of every physical column, or pair of columns, one tile at a time, without noise. Float64."""
    layout, bits, read = config.stored, config.weight.bits, config.read
    mask, base = 2**layout.cell_bits, layout.cell_bits
    wide = w.long()

    def digits(values: Tensor, held: int) -> list[tuple[Tensor, int, int]]:
        found = []
        for first in range(0, held, base):
            width = min(base, held - first)
            found.append((values // 2**first % min(mask, 2**width), 2**first, 2**width - 1))
        return found

    columns: list[tuple[Tensor, int, int]] = []
    if layout.encoding == "offset":
        columns = digits(wide + 2 ** (bits - 1), bits)
    elif layout.encoding == "differential":
        for plus, minus in zip(
            digits(wide.clamp(min=0), bits - 1), digits((-wide).clamp(min=0), bits - 1), strict=True
        ):
            if layout.subtract == "analog":
                columns.append((plus[0] - minus[0], plus[1], plus[2]))
            else:
                columns += [plus, (minus[0], -minus[1], minus[2])]
    else:
        columns = digits(wide % 2 ** (bits - 1), bits - 1)
        columns.append(((wide < 0).long(), -(2 ** (bits - 1)), 1))
    total = torch.zeros(len(x), len(w), dtype=torch.float64)
    if layout.encoding == "offset":
        total -= 2 ** (bits - 1) * x.double().sum(1, keepdim=True)
    top = 2 ** (read.adc_bits - (layout.subtract == "analog" and layout.encoding == "differential")) - 1
    first = 0
    for width in config.plan.input_widths:
        plane = x.long() // 2**first % 2**width
        for column, place, largest in columns:
            full = (2**width - 1) * largest * read.rows
            for start in range(0, x.shape[1], config.step):
                tile = slice(start, start + config.step)
                mac = plane[:, tile] @ column[:, tile].T
                value = (mac.float() / torch.tensor(float(full))).clamp(-1, 1)
                total += place * 2**first * torch.round(value * top).double() / top * full
        first += width
    return total


@settings(max_examples=60, deadline=None)
@given(LAYOUTS, st.integers(2, 9), st.integers(2, 8), st.integers(1, 3), st.integers(2, 7), st.integers(1, 60))
def test_lossy_reads_are_what_the_columns_say(
    layout: CellLayout, weight_bits: int, input_bits: int, encoding: int, adc_bits: int, length: int
) -> None:
    config = make_config(
        rows=23, input_bits=input_bits, weight_bits=weight_bits, encoding=encoding, stored=layout, adc_bits=adc_bits
    )
    x, w = codes((4, length), config.input, length), codes((5, length), config.weight, adc_bits)
    expected = by_columns(x, w, config)
    for engine in (plain.simulate, engine_for("auto", "cpu")):
        assert torch.allclose(run(config, x, w, engine=engine), expected, rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("layout", EACH, ids=str)
def test_digital_cycles_are_exact_in_every_encoding(layout: CellLayout) -> None:
    x, w = codes((6, 40), Operand(4, False), 1), codes((7, 40), Operand(6, True), 2)
    levels = make_config(weight_bits=6, stored=layout).plan.level(0, 0) + 1
    noisy = {"weight_bits": 6, "stored": layout, "adc_bits": 6, "random_percent_fs": 3.0}
    assert torch.equal(run(make_config(hybrid=levels, **noisy), x, w), x.double() @ w.double().T)
    some, none = (run(make_config(hybrid=hybrid, **noisy), x, w) - x.double() @ w.double().T for hybrid in (3, 0))
    assert 0 < some.square().mean() < 0.5 * none.square().mean()


@pytest.mark.parametrize("layout", EACH, ids=str)
def test_the_variance_of_the_noise_is_that_of_its_reads(layout: CellLayout) -> None:
    """160,000 sums: 5 standard errors of a variance are 5 * sqrt(2 / 160000) = 1.8 %. No column is near an end."""
    percent, rows = 0.5, 64
    config = make_config(rows=rows, input_bits=2, weight_bits=5, stored=layout, random_percent_fs=percent)
    x = torch.full((400, rows), 3.0)
    w = codes((1, rows), config.weight, 3).expand(400, rows)
    places = [(plane.place, plane.largest) for plane in stored_planes(config) if plane.width]
    one = rows * percent / 100
    expected = sum((2**j * place * largest * one) ** 2 for j in range(2) for place, largest in places)
    assert abs(run(config, x, w).var() / expected - 1) < 0.018


def test_noise_of_the_encodings_by_hand() -> None:
    """Sums of squared place values times full scales, in units of a one-bit read, for 5 bits."""
    squares = {
        CellLayout(): 1 + 4 + 16 + 64 + 256,
        CellLayout("offset"): 1 + 4 + 16 + 64 + 256,
        CellLayout("differential"): 2 * (1 + 4 + 16 + 64),
        CellLayout("differential", subtract="analog"): 1 + 4 + 16 + 64,
        CellLayout("differential", 4, "analog"): 15**2,
    }
    for layout, expected in squares.items():
        planes = [plane for plane in stored_planes(make_config(weight_bits=5, stored=layout)) if plane.width]
        assert sum((plane.place * plane.largest) ** 2 for plane in planes) == expected


STATIC: list[dict[str, Any]] = [
    {"cell_variation_percent": 5.0},
    {"cell_variation_percent": 5.0, "cell_variation_proportional": True},
    {"capacitor_sigma_percent": 5.0},
    {"stuck_at_1_percent": 10.0},
    {"stuck_at_0_percent": 10.0},
    {"adc_gain_sigma_percent": 5.0},
    {"adc_offset_sigma_lsb": 1.0},
]


@pytest.mark.parametrize("layout", EACH, ids=str)
@pytest.mark.parametrize("effects", STATIC, ids=str)
def test_a_die_is_itself_and_no_other(layout: CellLayout, effects: dict[str, Any]) -> None:
    config = make_config(stored=layout, adc_bits=8, rows=25, **effects)
    x, w = codes((1, 60), config.input, 1).expand(5, 60), codes((6, 60), config.weight, 2)
    sums = run(config, x, w, Seed(1))
    assert torch.equal(sums, sums[:1].expand_as(sums))
    assert torch.equal(run(config, x[:1], w, Seed(1, first_sample=9)), sums[:1])
    assert torch.equal(run(config, x, w, Seed(7, die=1)), run(config, x, w, Seed(8, die=1)))
    assert not torch.equal(run(config, x, w, Seed(2)), sums)


ZEROS_READ_NOTHING: list[dict[str, Any]] = [
    {"capacitor_sigma_percent": 8.0},
    {"cell_variation_percent": 8.0, "cell_variation_proportional": True},
]


@pytest.mark.parametrize("effects", ZEROS_READ_NOTHING, ids=str)
def test_weights_of_zero_read_nothing_where_both_columns_hold_nothing(effects: dict[str, Any]) -> None:
    """Offset binary holds half its range for a zero, which varies; a pair of columns holds nothing."""
    zeros = torch.zeros(6, 25)
    for layout in EACH:
        config = make_config(stored=layout, adc_bits=8, rows=25, **effects)
        read = run(config, codes((4, 25), config.input, 1), zeros, Seed(1))
        assert bool(read.any()) == (layout.encoding == "offset"), layout


def test_variation_of_every_cell_varies_zeros_too() -> None:
    config = make_config(stored=ANALOG, rows=25, cell_variation_percent=8.0)
    assert run(config, codes((4, 25), config.input, 1), torch.zeros(6, 25), Seed(1)).any()


@pytest.mark.parametrize("proportional", [False, True])
def test_strengths_of_cells_of_several_bits(proportional: bool) -> None:
    """4,000 sums of 25 cells of 3 bits and one of a sign: 5 standard errors of a standard deviation are 5.6 %."""
    config = make_config(
        stored=CellLayout(cell_bits=3), rows=25, cell_variation_percent=2.0, cell_variation_proportional=proportional
    )
    # 5 and -3 both hold 5 below the sign, whose cell has the place 8.
    w = torch.tensor([5.0] * 13 + [-3.0] * 12).expand(4000, 25)
    spread = float(run(config, torch.ones(1, 25), w, Seed(3)).std())
    expected = 0.02 * (25 * 5**2 + 12 * 8**2 if proportional else 25 * (7**2 + 8**2)) ** 0.5
    assert abs(spread / expected - 1) < 0.056


def test_one_read_of_the_whole_product_takes_pairs_of_columns_too() -> None:
    plan = BitPlan.analog(1, (4,))
    x, w = codes((5, 30), Operand(4, False), 1), codes((6, 30), Operand(4, True), 2)
    results = []
    for layout in (TWOS, CellLayout(cell_bits=2), ANALOG, CellLayout("differential", 3, "analog")):
        config = make_config(stored=layout, parallel=True, adc_bits=6, random_percent_fs=0.2)
        results.append(run(OpConfig(**{**fields(config), "plan": plan}), x, w))
        assert torch.equal(results[0], results[-1])
    for layout in (OFFSET, PAIRS):
        config = make_config(stored=layout, parallel=True, adc_bits=6)
        with pytest.raises(UsageError, match="parallel reads a signed product"):
            run(OpConfig(**{**fields(config), "plan": plan}), x, w)


def test_the_range_of_whole_products_may_be_what_a_tile_uses() -> None:
    """10 of 40 rows: a window of 10 rows has a fourth of the step and loses nothing."""
    x, w = codes((20, 10), Operand(4, False), 1), codes((30, 10), Operand(4, True), 2)
    exact = x.double() @ w.double().T
    errors = []
    for window in (None, (0.0, 10.0)):
        config = make_config(parallel=True, rows=40, step=10, adc_bits=7, window=window)
        found = run(OpConfig(**{**fields(config), "plan": BitPlan.analog(1, (4,))}), x, w)
        errors.append((found - exact).abs().max() / (15 * 7 * 40 / 63 / 2))
    assert 0.5 < errors[0] <= 1
    assert errors[1] <= 0.25 + 1e-9


def fields(config: OpConfig) -> dict[str, Any]:
    return {name: getattr(config, name) for name in OpConfig.__slots__}


def test_a_symmetric_window_halves_the_steps() -> None:
    """MAC values within 10 of 40 rows: a window of 10 has a fourth of the step, and cuts nothing off."""
    x, w = torch.ones(1, 10), codes((50, 10), Operand(4, True), 2)
    exact = x.double() @ w.double().T
    coarse, fine = (
        (run(make_config(stored=ANALOG, rows=40, step=10, adc_bits=5, window=window), x, w) - exact).abs().max()
        for window in (None, (0.0, 10.0))
    )
    assert fine < 0.6 * coarse
    cut = make_config(stored=ANALOG, rows=40, step=10, adc_bits=5, window=(0.0, 1.0))
    for sign in (1.0, -1.0):
        most = run(cut, 15 * x, 7 * sign * torch.ones(1, 10))
        assert most.item() == 15 * 7 * sign, "four planes of the input, three digits, each cut off at 1"


@pytest.mark.parametrize(
    ("effects", "words"),
    [
        ({"nonlinear_percent_fs": 1.0}, "nonlinear_percent_fs has no meaning with differential.subtract: analog"),
        ({"adc_bits": 1}, "1-bit converter"),
        ({"thresholds_lsb": (0.5,), "adc_bits": 4}, "thresholds_lsb is not defined"),
        ({"window": (2.0, 9.0)}, "starts at 0"),
        ({"capacitor_sigma_percent": 1.0, "capacitors_redrawn": True}, "drawn anew"),
    ],
)
def test_what_the_difference_of_two_columns_excludes(effects: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        run(make_config(stored=ANALOG, **effects), torch.ones(1, 5), torch.ones(1, 5))


@pytest.mark.parametrize("layout", EACH, ids=str)
def test_a_configuration_survives_its_text(layout: CellLayout) -> None:
    config = make_config(stored=layout, adc_bits=5)
    assert loads(config.dumps()) == config
