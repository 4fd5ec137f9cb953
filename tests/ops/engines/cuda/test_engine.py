from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from importlib.util import find_spec
from typing import Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asim_fx.encoding import CellLayout, WeightEncoding
from asim_fx.ops.engines.cuda.plan import not_covered
from tests.ops.configs import make_config
from tests.ops.engines.cuda.cases import Case, build, cuda_sums, plain_sums
from tests.ops.engines.cuda.interpreter import differ, interpreter, interpreter_failure, shapes_timed

needs_triton = pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")

Compare = Callable[[Case, Case], tuple[int, int]]

NOISE = {"adc_bits": 5, "random_percent_fs": 1.0}
LINEAR = (4, 40, 5)
CONV = (3, 4, 6, 6, 3, 2, 1, 2)

CASES = {
    "lossy": Case("linear", LINEAR, {"adc_bits": 4}),
    "lossy, codes from the table": Case("linear", LINEAR, {"adc_bits": 9, "rows": 300, "compression_per_mac": 0.01}),
    "noise": Case("linear", LINEAR, NOISE),
    "samples not followed": Case("linear", LINEAR, NOISE, by_sample=False),
    "samples beyond 32 bits": Case("linear", LINEAR, NOISE, first_sample=2**40 + 2**32 - 2),
    "wide noise": Case("linear", LINEAR, {"adc_bits": 6, "random_percent_fs": 3.0, "rows": 70}),
    "one row": Case("linear", (2, 3, 1), {**NOISE, "rows": 1}),
    "hybrid": Case("linear", LINEAR, {**NOISE, "nonlinear_percent_fs": 4.0, "hybrid": 3}),
    "digital cycles pass the converter": Case(
        "linear", LINEAR, {**NOISE, "rows": 40, "hybrid": 3, "digital_cycles": "adc"}
    ),
    "window and offset": Case("linear", LINEAR, {"adc_bits": 4, "rows": 40, "window": (4, 30), "adc_offset_lsb": 0.7}),
    "window with noise": Case("linear", LINEAR, {**NOISE, "rows": 40, "window": (4, 30), "hybrid": 2}),
    "mode": Case("linear", LINEAR, {**NOISE, "votes": (3, 4, "mode"), "hybrid": 2}),
    "median": Case("linear", LINEAR, {**NOISE, "votes": (3, 9, "median")}),
    "mean": Case("linear", LINEAR, {**NOISE, "votes": (3, 5, "mean")}),
    "planes of two widths": Case("linear", LINEAR, {**NOISE, "input_bits": 6, "signed": True, "encoding": 3}),
    "offset binary": Case("linear", LINEAR, {**NOISE, "stored": CellLayout("offset"), "hybrid": 2}),
    "pairs of columns": Case("qk", (3, 7, 11, 5), {**NOISE, "stored": CellLayout("differential"), "hybrid": 2}),
    "cells of three bits": Case(
        "conv", CONV, {**NOISE, "rows": 20, "step": 18, "weight_bits": 6, "stored": CellLayout("differential", 3)}
    ),
    "a sign beside cells of two bits": Case(
        "linear", LINEAR, {**NOISE, "encoding": 2, "stored": CellLayout(cell_bits=2)}
    ),
    "conv": Case("conv", CONV, {**NOISE, "rows": 20, "step": 18}),
    "conv in blocks": Case("conv", CONV, {**NOISE, "rows": 20, "step": 18}, working_bytes=20_000),
    "depthwise": Case("conv", (2, 3, 5, 3, 3, 1, 1, 3), {**NOISE, "rows": 9}),
    "qk": Case("qk", (3, 7, 11, 5), {**NOISE, "signed": True}),
    "av": Case("av", (3, 7, 40, 5), {**NOISE, "signed": True}),
    "several blocks of outputs": Case("linear", (70, 33, 67), {**NOISE, "input_bits": 2, "weight_bits": 2}),
    "sums of 64 bits": Case(
        "linear",
        (2, 3, 2),
        {"adc_bits": 10, "rows": 1, "input_bits": 13, "weight_bits": 12, "compression_per_mac": 0.1},
    ),
}


@pytest.fixture(scope="module")
def interpreted() -> Iterator[ProcessPoolExecutor]:
    with interpreter() as pool:
        failure = pool.submit(interpreter_failure).result()
        if failure:
            pytest.skip(f"Triton's interpreter does not run here (some releases need an older numpy): {failure}")
        yield pool


@pytest.fixture(scope="module")
def compare(interpreted: ProcessPoolExecutor) -> Compare:
    return lambda case, plain_case: interpreted.submit(differ, case, plain_case).result()


@needs_triton
@pytest.mark.parametrize("name", CASES)
def test_the_interpreted_kernel_gives_the_plain_engines_bits(name: str, compare: Compare) -> None:
    assert not not_covered(build(CASES[name], "cpu")[1])
    outputs, different = compare(CASES[name], CASES[name])
    assert outputs > 0
    assert different == 0


@st.composite
def cases(draw: st.DrawFn) -> Case:
    kind = draw(st.sampled_from(["linear", "conv", "qk", "av"]))
    small = st.integers(1, 6)
    if kind == "linear":
        shape = draw(st.tuples(small, st.integers(1, 50), small))
    elif kind == "conv":
        groups = draw(st.integers(1, 2))
        channels, outputs = groups * draw(st.integers(1, 3)), groups * draw(st.integers(1, 3))
        kernel, stride, padding = draw(st.integers(1, 3)), draw(st.integers(1, 2)), draw(st.integers(0, 1))
        shape = (draw(st.integers(1, 2)), channels, draw(st.integers(3, 5)), outputs, kernel, stride, padding, groups)
    else:
        shape = draw(st.tuples(st.integers(1, 3), small, st.integers(1, 40), small))
    rows = draw(st.integers(1, 40))
    options: dict[str, Any] = {
        "rows": rows,
        "step": draw(st.integers(max(1, rows - 3), rows)),
        "input_bits": draw(st.integers(2, 5)),
        "weight_bits": draw(st.integers(2, 4)),
        "signed": draw(st.booleans()),
        "encoding": draw(st.integers(1, 3)),
        "adc_bits": draw(st.integers(2, 8)),
        "random_percent_fs": draw(st.sampled_from([0.0, 0.3, 1.5])),
        "nonlinear_percent_fs": draw(st.sampled_from([0.0, 1.0])),
        "hybrid": draw(st.integers(0, 3)),
        "stored": CellLayout(draw(st.sampled_from(get_args(WeightEncoding))), draw(st.integers(1, 3))),
        "votes": (draw(st.integers(0, 4)), draw(st.integers(1, 4)), draw(st.sampled_from(["mode", "median", "mean"]))),
    }
    by_sample = draw(st.booleans())
    return Case(kind, shape, options, by_sample, draw(st.sampled_from([0, 7, 2**33])))


@needs_triton
@settings(max_examples=25)
@given(cases())
def test_any_interpreted_operation_gives_the_plain_engines_bits(compare: Compare, case: Case) -> None:
    assert compare(case, case)[1] == 0


@needs_triton
def test_the_comparison_tells_samples_apart(compare: Compare) -> None:
    case = CASES["noise"]
    outputs, different = compare(case, replace(case, first_sample=1))
    assert different > outputs / 2


@needs_triton
def test_every_shape_that_is_timed_gives_the_same_bits(interpreted: ProcessPoolExecutor) -> None:
    timed, same = interpreted.submit(shapes_timed, Case("linear", (3, 9, 2), NOISE)).result()
    assert timed == 4
    assert same


@pytest.mark.cuda
@needs_triton
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("name", CASES)
def test_the_compiled_kernel_gives_the_plain_engines_bits(name: str) -> None:
    found = cuda_sums(CASES[name], "cuda")
    assert torch.equal(found, plain_sums(CASES[name], "cuda"))
    assert torch.equal(found.cpu(), plain_sums(CASES[name]))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({**NOISE, "cell_variation_percent": 1.0}, "cells vary"),
        ({**NOISE, "adc_offset_sigma_lsb": 1.0}, "converters differ"),
        ({"random_percent_fs": 1.0}, "the converter is ideal"),
        ({**NOISE, "input_bits": 9, "encoding": 8}, "input_encoding of more than 7 bits"),
        ({**NOISE, "votes": (9, 10, "mode")}, "vote: mode of more than 9 samples"),
        ({"adc_bits": 12, "random_percent_fs": 1.0}, "too many for a table"),
        ({"adc_bits": 4, "rows": 70_000}, "MAC values are too many"),
        ({**NOISE, "rows": 10, "step": 11}, "a row tile is longer than the array"),
        ({"adc_bits": 4, "input_bits": 17}, "codes of more than 16 bits"),
        (
            {"adc_bits": 4, "weight_bits": 10, "stored": CellLayout("differential")},
            "both parts of differential weights",
        ),
        ({"adc_bits": 4, "stored": CellLayout("differential", 1, "analog")}, "differential.subtract: analog"),
        ({"adc_bits": 4, "weight_bits": 8, "stored": CellLayout("offset", 8)}, "cell_bits of more than 7"),
    ],
)
def test_what_is_not_covered_has_a_reason(options: dict[str, Any], reason: str) -> None:
    assert reason in not_covered(make_config(**options))


def test_exact_operations_and_means_of_many_reads_are_covered() -> None:
    assert not_covered(make_config()) == ""
    assert not_covered(make_config(**NOISE, votes=(9, 40, "mean"))) == ""
