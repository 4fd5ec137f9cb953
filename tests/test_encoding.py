"""Encodings of the stored operand, from a YAML file to the numbers that a model gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import asim_fx
from asim_fx.encoding import CellLayout
from asim_fx.errors import SpecError
from asim_fx.ir import BitPlan
from asim_fx.pipeline import Fact
from tests.passes.planning import TOKENS, Attention, planned

FORMS = {
    "offset": "weight_encoding: offset",
    "offset, 3 bits": "weight_encoding: offset, cell_bits: 3",
    "pairs": "weight_encoding: differential",
    "pairs, 2 bits": "weight_encoding: differential, cell_bits: 2",
    "differences": "weight_encoding: differential, differential: {subtract: analog}",
    "differences, 7 bits": "weight_encoding: differential, cell_bits: 7, differential: {subtract: analog}",
    "sign apart": "cell_bits: 4",
}


def spec(tmp_path: Path, macro: str, rest: str = "") -> asim_fx.HardwareSpec:
    path = tmp_path / "chip.yaml"
    path.write_text(f"version: 1\nname: chip\nmacros:\n  m:\n    {{rows: 64, columns: 65, {macro}}}\n{rest}")
    return asim_fx.load_spec(path)


@pytest.mark.parametrize("macro", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("kind", ["convolutions", "attention"])
def test_without_errors_every_form_is_the_integer_model(
    macro: str, kind: str, tmp_path: Path, small_net: nn.Module, images: Tensor
) -> None:
    model, inputs = (small_net, images) if kind == "convolutions" else (Attention(), TOKENS)
    converted = asim_fx.convert(model, spec(tmp_path, f"adc: {{bits: ideal}}, {macro}"), inputs)
    hardware = converted(inputs)
    converted.set_fidelity("integer")
    assert torch.equal(hardware, converted(inputs))


@pytest.mark.parametrize("macro", FORMS.values(), ids=FORMS)
def test_a_wide_converter_is_near_the_integer_model_and_noise_moves_it(
    macro: str, tmp_path: Path, small_net: nn.Module, images: Tensor
) -> None:
    errors = []
    for read in ("adc: {bits: 16}", "adc: {bits: 16}, noise: {random_percent_fs: 1}"):
        converted = asim_fx.convert(small_net, spec(tmp_path, f"{read}, {macro}"), images)
        with torch.no_grad():
            hardware = converted(images)
            converted.set_fidelity("integer")
            exact = converted(images)
        errors.append(float((hardware - exact).norm() / exact.norm()))
    assert 0 < errors[0] < 0.01
    assert errors[1] > 10 * errors[0]


@pytest.mark.parametrize(
    ("macro", "columns", "reads", "levels"),
    [
        ("", 8, 8, 15),
        ("cell_bits: 4", 3, 3, 10),
        ("weight_encoding: offset", 8, 8, 15),
        ("weight_encoding: differential", 14, 14, 14),
        ("weight_encoding: differential, differential: {subtract: analog}", 14, 7, 14),
        ("weight_encoding: differential, cell_bits: 4", 4, 4, 9),
    ],
)
def test_columns_reads_and_levels_of_a_site(macro: str, columns: int, reads: int, levels: int) -> None:
    rule = f"rules:\n  - {{match: {{op: [linear, qk]}}, macro: {{{macro}}}}}\n"
    _, plans = planned(Attention(), (TOKENS,), rule, until=Fact.BITPLAN)
    for name, input_planes in (("qkv", 8), ("qk", 8)):
        plan = next(plan for label, plan in plans.items() if label.endswith(name))
        assert plan.tiles is not None
        assert plan.bits is not None
        assert plan.tiles.column_tiles == -(-plan.site.n * columns // plan.tiles.columns)
        assert plan.bits.total_reads == reads * input_planes
        assert max(plan.bits.level(i, j) for i, j, _ in plan.bits.cells()) == levels - 1
        assert any(f"{columns} columns for each output" in note for note in plan.notes) == bool(macro)


def test_both_columns_of_a_digit_have_one_level() -> None:
    plan = CellLayout("differential").bit_plan(3, (1, 1), signed=True)
    assert [[plan.level(i, j) for j in range(2)] for i in range(4)] == [[2, 1], [2, 1], [1, 0], [1, 0]]
    assert plan.with_digital(1).reads == ((1, 1), (1, 1), (1, 0), (1, 0))
    assert plan.with_digital(1).with_votes(2, 3, "median").reads == ((1, 3), (1, 3), (3, 0), (3, 0))


@given(st.integers(2, 16), st.integers(1, 8), st.booleans())
def test_digits_cover_the_code_and_no_more(bits: int, cell_bits: int, signed: bool) -> None:
    twos, offset, pairs = (
        CellLayout(encoding, cell_bits).widths(bits, signed=signed)
        for encoding in ("twos-complement", "offset", "differential")
    )
    assert sum(twos) == sum(offset) == bits
    assert sum(pairs) == bits - signed
    assert max(*twos, *offset, *pairs) <= cell_bits
    assert twos[-1] == 1 or not signed, "the sign has a cell of its own"
    assert CellLayout(cell_bits=cell_bits).bit_plan(bits, (1,), signed=signed) == BitPlan.analog(len(twos), (1,))


def test_the_report_names_columns_and_what_the_engine_leaves_out(
    tmp_path: Path, small_net: nn.Module, images: Tensor
) -> None:
    macro = "adc: {bits: 5}, weight_encoding: differential, differential: {subtract: analog}"
    report = asim_fx.convert(small_net, spec(tmp_path, macro), images).report
    assert {row.columns_per_output for row in report.rows if row.target == "analog"} == {14}
    assert "differential.subtract: analog" in report.engine
    assert report.rows[0].settings["macro.weight_encoding"] == "differential"
    covered = asim_fx.convert(small_net, spec(tmp_path, "adc: {bits: 5}, weight_encoding: offset"), images).report
    assert "torch for" not in covered.engine


def test_a_layout_in_words() -> None:
    assert CellLayout().in_words == "twos-complement, 1 bit to a cell"
    assert CellLayout("differential", 2, "analog").in_words == "differential (analog subtraction), 2 bits to a cell"


def test_an_artifact_keeps_its_encoding(tmp_path: Path, small_net: nn.Module, images: Tensor) -> None:
    macro = "adc: {bits: 5}, noise: {random_percent_fs: 1}, weight_encoding: differential, cell_bits: 3"
    converted = asim_fx.convert(small_net, spec(tmp_path, macro), images)
    converted.save(tmp_path / "saved")
    loaded = asim_fx.load(tmp_path / "saved", model=small_net)
    converted.reseed(3)
    loaded.reseed(3)
    assert torch.equal(loaded(images), converted(images))


@pytest.mark.parametrize(
    ("macro", "rest", "words"),
    [
        ("differential: {subtract: analog}", "", ["differential.subtract: analog", "weight_encoding: differential"]),
        ("cell_bits: 9", "", ["cell_bits", "from 1 to 8"]),
        ("weight_encoding: signed", "", ["weight_encoding", "twos-complement"]),
        ("cell_bits: 5", "defaults: {weight_bits: 4}", ["cell_bits: 5", "weight_bits: 4"]),
        ("weights: parallel, weight_encoding: offset", "", ["weights: parallel", "weight_encoding: offset"]),
        (
            "weights: parallel, weight_encoding: differential",
            "defaults: {input_encoding: 8}",
            ["weights: parallel", "differential.subtract: analog"],
        ),
        *(
            (f"weight_encoding: differential, differential: {{subtract: analog}}, {more}", "", [field, "subtract"])
            for more, field in (
                ("noise: {nonlinear_percent_fs: 1}", "noise.nonlinear_percent_fs"),
                ("adc: {dnl_sigma_lsb: 0.1}", "adc.dnl_sigma_lsb"),
                ("adc: {bits: 1}", "adc.bits: 1"),
                ("adc: {range: window, window: {low_mac: 3, high_mac: 9}}", "adc.window.low_mac: 3"),
                ("capacitors: {unit_ff: 1, mismatch: redrawn}", "capacitors.mismatch: redrawn"),
            )
        ),
        ("cell_bits: 2, capacitors: {unit_ff: 1, mismatch: redrawn}", "", ["capacitors.mismatch", "cell_bits"]),
        (
            "cell_bits: 4, weight_encoding: offset",
            "defaults: {hybrid: {levels: 10}}",
            ["hybrid.levels: 10", "at most 9", "weight_encoding: offset", "cell_bits: 4"],
        ),
    ],
)
def test_what_no_hardware_can_be_names_its_line(macro: str, rest: str, words: list[str], tmp_path: Path) -> None:
    with pytest.raises(SpecError) as error:
        spec(tmp_path, macro, rest)
    message = str(error.value)
    assert "chip.yaml:5" in message or "chip.yaml:6" in message
    assert all(word in message for word in words), message


def test_one_read_of_the_whole_product_takes_pairs(tmp_path: Path) -> None:
    made: dict[str, Any] = {}
    for name, macro in (("bits", ""), ("pairs", "weight_encoding: differential, differential: {subtract: analog}")):
        chip = spec(tmp_path, f"adc: {{bits: 8}}, weights: parallel, {macro}", "defaults: {input_encoding: 8}")
        converted = asim_fx.convert(Attention(), chip, TOKENS)
        made[name] = converted.report.rows[0]
    assert made["bits"].reads == made["pairs"].reads
    assert (made["bits"].columns_per_output, made["pairs"].columns_per_output) == (8, 14)
