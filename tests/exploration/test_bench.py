from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

import asim_fx
from asim_fx.analysis import analyse
from asim_fx.data import DataSource
from asim_fx.errors import DataError
from asim_fx.exploration.axes import Settings, overrides
from asim_fx.exploration.bench import Bench, IdealCache, spec_identity, weights_identity
from asim_fx.exploration.calibrator import Calibrator
from asim_fx.simulation import SimulationResult, simulate
from asim_fx.spec import load_spec
from tests.simulation.test_run import Pictures, source

CELLS: list[Settings] = [
    (("macros.m.adc.bits", "8"), ("defaults.vote", "{levels: 3, samples: 3}")),
    (("macros.m.adc.bits", "6"), ("defaults.hybrid.levels", "2")),
]


@pytest.fixture(scope="module")
def data() -> DataSource:
    generator = torch.Generator().manual_seed(3)
    return source(Pictures(torch.randn(6, 2, 8, 8, generator=generator), torch.arange(6) % 5))


@pytest.fixture(scope="module")
def bench(small_net: nn.Module, images: torch.Tensor, data: DataSource) -> Bench:
    return Bench(analyse(small_net, images), load_spec("generic-255x8b"), data, seeds=(0, 1))


def test_a_cell_is_what_a_conversion_of_its_own_gives(bench: Bench, small_net: nn.Module, images: torch.Tensor) -> None:
    for cell in (*CELLS, CELLS[0]):  # the first one again: no cell leaves traces
        spec = load_spec("generic-255x8b", overrides(cell))
        alone = asim_fx.convert(small_net, spec, images)
        shared = bench.convert(spec)
        assert torch.equal(alone(images), shared(images))
        assert alone.report.rows == shared.report.rows
        assert alone.report.notes == shared.report.notes
        result = bench.run(cell)
        whole = simulate(alone, bench.data, seeds=(0, 1)).variants[-1]
        assert (result.top1, result.top1_low, result.interval) == (
            whole.top1.mean,
            whole.top1.low,
            whole.top1.interval,
        )
        assert result.conversions == alone.report.totals["reads"]
        assert result.images == 6


CALIBRATED: list[Settings] = [
    (("macros.m.adc.range", "calibrated"), ("macros.m.adc.bits", "5")),
    (("macros.m.adc.range", "calibrated"), ("macros.m.adc.bits", "6"), ("defaults.input_encoding", "2")),
    (("defaults.scale", "static"), ("macros.m.adc.range", "calibrated"), ("defaults.calibration.method", "mse")),
    (("macros.m.adc.bits", "5"),),
]


def test_a_calibrated_cell_is_what_a_conversion_of_its_own_gives(
    bench: Bench, small_net: nn.Module, images: torch.Tensor
) -> None:
    pictures = Pictures(torch.randn(7, 2, 8, 8, generator=torch.Generator().manual_seed(9)), torch.arange(7) % 5)
    calibrator = Calibrator.of(source(pictures, batch_size=3))
    calibrating = replace(bench, calibrator=calibrator, ideal_cache=IdealCache())
    for cell in (*CALIBRATED, CALIBRATED[0]):  # the second time from what was seen before
        alone = asim_fx.convert(small_net, load_spec("generic-255x8b", overrides(cell)), images)
        asim_fx.calibrate(alone, [batch for batch, _ in source(pictures, batch_size=3)])
        shared = calibrating.convert(load_spec("generic-255x8b", overrides(cell)))
        assert shared.calibration == alone.calibration
        assert shared.report.rows == alone.report.rows
        assert torch.equal(alone(images), shared(images))
        result = calibrating.run(cell)
        integer, hardware = simulate(alone, bench.data, seeds=(0, 1)).variants
        assert (result.top1, result.top1_low, result.integer_top1) == (
            hardware.top1.mean,
            hardware.top1.low,
            integer.top1.mean,
        )
    assert calibrating.identity() != bench.identity()
    other = replace(bench, calibrator=Calibrator.of(source(pictures, batch_size=4)))
    assert calibrating.identity() != other.identity()


def test_the_ideal_integer_model_runs_once_for_cells_that_share_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = []

    def counted(*args: object, integer: bool, **options: object) -> SimulationResult:
        ran.append(integer)
        return simulate(*args, integer=integer, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("asim_fx.exploration.bench.simulate", counted)
    fresh = replace(bench, ideal_cache=IdealCache())
    for settings in ("macros.m.adc.bits=5", "macros.m.adc.bits=6", "defaults.weight_bits=3", "defaults.vote.levels=0"):
        path, _, value = settings.partition("=")
        whole = replace(bench, ideal_cache=IdealCache()).run(((path, value),))
        assert fresh.run(((path, value),)) == whole
    assert ran[1::2] == [True, False, True, False]


def test_weights_are_shared(bench: Bench) -> None:
    model = bench.analysed.parts[0].graph_module
    converted = bench.convert(bench.spec)
    mine = {tensor.data_ptr() for tensor in model.parameters()}
    own = {tensor.data_ptr() for tensor in converted.body.parameters()}
    assert own
    assert own <= mine  # those that folding left unused are gone


def test_what_cannot_be_hardware_is_a_result(bench: Bench) -> None:
    assert "no_such" in bench.run((("rules", "[{match: {name: no_such}, weight_bits: 4}]"),)).error
    assert "--calibrate SOURCE" in bench.run((("defaults.scale", "static"),)).error


def test_data_that_suits_nothing_is_an_error(bench: Bench, data: DataSource) -> None:
    wrong = Bench(bench.analysed, bench.spec, source(Pictures(torch.randn(2, 2, 8, 8), torch.tensor([0, 9]))))
    with pytest.raises(DataError):
        wrong.run(CELLS[0])


def test_identities_tell_apart(bench: Bench, small_net: nn.Module) -> None:
    other = nn.Linear(2, 2)
    assert weights_identity(small_net) == weights_identity(small_net) != weights_identity(other)
    assert spec_identity(bench.spec) == spec_identity(load_spec("generic-255x8b"))
    assert spec_identity(bench.spec) != spec_identity(load_spec("generic-255x8b", ["macros.m.adc.bits=7"]))
    assert bench.identity() != Bench(bench.analysed, bench.spec, bench.data, seeds=(1,)).identity()
    unfolded = replace(bench, analysed=analyse(small_net, torch.randn(2, 2, 8, 8), fold_batch_norm=False))
    assert bench.identity() != unfolded.identity()
