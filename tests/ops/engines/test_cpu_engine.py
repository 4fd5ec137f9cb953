"""The CPU engine against the plain one, to the bit."""

from __future__ import annotations

import os
from typing import Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asim_fx.encoding import CellLayout, WeightEncoding
from asim_fx.ir import BatchLayout
from asim_fx.ops.config import OpConfig
from asim_fx.ops.conv import conv_reduction
from asim_fx.ops.die import on_die
from asim_fx.ops.draws import Seed
from asim_fx.ops.engines import plain
from asim_fx.ops.engines.cpu import engine
from asim_fx.ops.engines.cpu.plan import not_covered
from asim_fx.ops.linear import linear_reduction
from asim_fx.ops.matmul import matmul_reduction
from asim_fx.ops.reduction import Reduction
from tests.ops.configs import make_config

LAYOUTS = st.sampled_from(
    [CellLayout(encoding, bits) for encoding in get_args(WeightEncoding) for bits in (1, 2, 3)] + [CellLayout()] * 6
)
"""Encodings of the stored operand; for half of the operations ASiM's own."""


@st.composite
def reads(draw: st.DrawFn) -> dict[str, Any]:
    """Return arguments of ``make_config``: all that the engine covers."""
    signed = draw(st.booleans())
    input_bits, weight_bits = draw(st.integers(2, 9)), draw(st.integers(2, 9))
    noise = draw(
        st.sampled_from([{}, {"random_percent_fs": 1.5}, {"random_percent_fs": 0.3, "nonlinear_percent_fs": 2.0}])
    )
    compression = draw(st.sampled_from([0.0, 0.01])) if "nonlinear_percent_fs" not in noise else 0.0
    hybrid = draw(st.integers(0, 4))
    return {
        "rows": draw(st.sampled_from([7, 31, 64, 100, 300])),
        "input_bits": input_bits,
        "weight_bits": weight_bits,
        "signed": signed,
        "encoding": 1 if signed else draw(st.integers(1, min(4, input_bits))),
        "adc_bits": draw(st.integers(1, 5)),
        "hybrid": hybrid,
        "votes": draw(st.sampled_from([(0, 1, "mode")] + [(hybrid + 2, 3, how) for how in ("mode", "median", "mean")])),
        "digital_cycles": draw(st.sampled_from(["exact", "adc"])),
        "compression_per_mac": compression,
        "stored": draw(LAYOUTS),
        **noise,
    }


def agree(reduction: Reduction, config: OpConfig, seed: Seed) -> None:
    reduction, config = on_die(reduction, config, seed)
    assert torch.equal(engine.simulate(reduction, config, seed), plain.simulate(reduction, config, seed))


def random_codes(shape: tuple[int, ...], bits: int, *, signed: bool, seed: int) -> torch.Tensor:
    low, high = (-(2 ** (bits - 1)) + 1, 2 ** (bits - 1)) if signed else (0, 2**bits)
    return torch.randint(low, high, shape, generator=torch.Generator().manual_seed(seed)).float()


@settings(max_examples=60, deadline=None)
@given(reads(), st.integers(1, 150), st.integers(1, 80), st.integers(1, 90), st.integers(0, 2**40), st.booleans())
def test_linears(
    arguments: dict[str, Any], vectors: int, length: int, outputs: int, first: int, by_sample: bool
) -> None:
    layout = BatchLayout(outputs, outputs) if by_sample else None
    config = make_config(layout=layout, **arguments)
    x = random_codes((vectors, length), config.input.bits, signed=config.input.signed, seed=length)
    w = random_codes((outputs, length), config.weight.bits, signed=True, seed=outputs)
    assert not_covered(config) == ""
    agree(linear_reduction(x, w), config, Seed(5, first))


@settings(max_examples=40, deadline=None)
@given(reads(), st.integers(1, 3), st.sampled_from([(1, 3, 4), (2, 4, 6), (6, 6, 6), (1, 9, 70)]), st.data())
def test_convolutions(arguments: dict[str, Any], batch: int, shape: tuple[int, int, int], data: st.DataObject) -> None:
    groups, channels, outputs = shape
    stride, dilation = data.draw(st.integers(1, 2)), data.draw(st.integers(1, 2))
    height, width = data.draw(st.integers(5, 9)), data.draw(st.integers(5, 12))
    x = random_codes((batch, channels, height, width), arguments["input_bits"], signed=arguments["signed"], seed=batch)
    w = random_codes((outputs, channels // groups, 3, 3), arguments["weight_bits"], signed=True, seed=width)
    reduction = conv_reduction(x, w, [stride, 1], [1, 0, 1, 2], [1, dilation], groups)
    elements = reduction.numel // batch
    agree(reduction, make_config(layout=BatchLayout(elements, elements), **arguments), Seed(1, 7))


@settings(max_examples=30, deadline=None)
@given(reads(), st.booleans(), st.integers(1, 3), st.integers(1, 4))
def test_matmuls(arguments: dict[str, Any], stored_first: bool, batch: int, heads: int) -> None:
    bits, signed = arguments["input_bits"], arguments["signed"]
    stored, streamed = (arguments["weight_bits"], True), (bits, signed)
    left, right = (stored, streamed) if stored_first else (streamed, stored)
    first = random_codes((batch, heads, 11, 40), left[0], signed=left[1], seed=1)
    second = random_codes((batch, 1, 40, 13), right[0], signed=right[1], seed=2)
    elements = heads * 11 * 13
    config = make_config(layout=BatchLayout(elements, elements), **arguments)
    agree(matmul_reduction(first, second, stored_first=stored_first), config, Seed(0))


def test_a_sample_on_an_inner_axis() -> None:
    """Runs of a sample shorter than the lanes: each lane has a sample of its own."""
    config = make_config(adc_bits=4, random_percent_fs=2.0, layout=BatchLayout(5, 30))
    x, w = random_codes((66, 40), 4, signed=False, seed=0), random_codes((20, 40), 4, signed=True, seed=1)
    agree(linear_reduction(x, w), config, Seed(0, 2**32 - 3))


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from([(255, 8), (255, 7), (64, 8), (85, 8), (16, 4)]),
    st.sampled_from([{"random_percent_fs": 0.05, "nonlinear_percent_fs": 0.05}, {"random_percent_fs": 0.06}]),
    st.integers(1, 300),
    st.sampled_from([(0, 1, "mode"), (9, 3, "median"), (9, 4, "mean"), (9, 3, "mode")]),
    st.integers(1, 2),
    st.integers(1, 8),
)
def test_noise_that_seldom_changes_a_code(
    converter: tuple[int, int], noise: dict[str, float], length: int, votes: Any, encoding: int, dense: int
) -> None:
    rows, adc_bits = converter
    config = make_config(
        rows=rows, adc_bits=adc_bits, input_bits=4, weight_bits=4, encoding=encoding, votes=votes, **noise
    )
    x, w = random_codes((140, length), 4, signed=False, seed=length), random_codes((70, length), 4, signed=True, seed=1)
    x *= torch.rand(x.shape, generator=torch.Generator().manual_seed(dense)) < dense / 8
    assert not_covered(config) == ""
    agree(linear_reduction(x, w), config, Seed(3))


def test_the_low_half_of_a_word_is_reached() -> None:
    """So many reads of one value that some are left open by the high half: about 1 in 4,096."""
    config = make_config(rows=16, input_bits=2, weight_bits=2, adc_bits=4, random_percent_fs=3.0)
    x, w = torch.full((3000, 16), 3.0), torch.full((40, 16), -1.0)
    agree(linear_reduction(x, w), config, Seed(0))


@pytest.mark.parametrize(("threads", "working"), [(1, 2**26), (2, 2**26), (3, 2**15), (1, 2**12)])
def test_neither_threads_nor_blocks_change_a_bit(threads: int, working: int, monkeypatch: pytest.MonkeyPatch) -> None:
    config = make_config(adc_bits=4, random_percent_fs=2.0, layout=BatchLayout(64 * 8, 64 * 8))
    x, w = random_codes((3, 4, 8, 8), 4, signed=False, seed=0), random_codes((8, 4, 3, 3), 4, signed=True, seed=1)
    reduction = conv_reduction(x, w, [1, 1], [1, 1, 1, 1], [1, 1], 1)
    expected = plain.simulate(reduction, config, Seed(0))
    before = torch.get_num_threads()
    monkeypatch.setattr(engine, "WORKING_BYTES", working)
    torch.set_num_threads(threads)
    try:
        assert torch.equal(engine.simulate(reduction, config, Seed(0)), expected)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"adc_bits": 4, "cell_variation_percent": 5.0}, "vary"),
        ({"adc_bits": None, "random_percent_fs": 1.0}, "ideal"),
        ({"adc_bits": 4, "stored": CellLayout("differential", 1, "analog")}, "differential.subtract: analog"),
        (
            {"adc_bits": 4, "weight_bits": 10, "stored": CellLayout("differential")},
            "both parts of differential weights",
        ),
        ({"adc_bits": 8, "random_percent_fs": 9.0}, "too wide"),
        ({"adc_bits": 12, "random_percent_fs": 0.01}, "too many"),
    ],
)
def test_what_is_not_covered_falls_back_and_says_so(arguments: dict[str, Any], reason: str) -> None:
    config = make_config(**arguments)
    assert reason in not_covered(config)
    agree(linear_reduction(torch.ones(3, 20), torch.ones(4, 20)), config, Seed(0))


def test_a_chain_of_processes_can_use_it() -> None:
    """A forked child, as of a data loader, computes after its parent did: no thread pool is inherited."""
    config = make_config(adc_bits=4, random_percent_fs=2.0)
    reduction = linear_reduction(torch.ones(70, 20), torch.ones(70, 20))
    expected = engine.simulate(reduction, config, Seed(0))
    child = os.fork()
    if child == 0:
        torch.set_num_threads(1)
        os._exit(0 if torch.equal(engine.simulate(reduction, config, Seed(0)), expected) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
