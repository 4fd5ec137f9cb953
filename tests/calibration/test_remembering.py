"""What is remembered of earlier calibrations is what would be seen anew, to the bit."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import asim_fx
from asim_fx.analysis import AnalysedModel, analyse
from asim_fx.calibration import Observations
from asim_fx.calibration.remembering import float_identity, integer_identity, keep
from asim_fx.conversion import lower, map_onto
from asim_fx.converted import ConvertedModel
from asim_fx.errors import InputError

BASE = ("defaults.scale=static", "macros.m.adc.range=calibrated", "rules=[]")
NEXT_FLOATS = 0
NEXT_INTEGERS = 1
CHANGES: list[tuple[tuple[str, ...], set[int]]] = [
    (("macros.m.adc.bits=5",), set()),
    (("macros.m.noise.random_percent_fs=0.3", "macros.m.adc.window.method=mse"), set()),
    (("defaults.vote={levels: 3, samples: 3}",), set()),
    (("defaults.input_encoding=2",), {NEXT_INTEGERS}),
    (("defaults.hybrid.levels=3",), {NEXT_INTEGERS}),
    (("macros.m.rows=16",), {NEXT_INTEGERS}),
    (("defaults.calibration={method: percentile, percentile: 90}",), {NEXT_INTEGERS}),
    (("defaults.input_bits=6",), {NEXT_INTEGERS}),
    (("rules=[{match: {name: depthwise}, target: float}]",), {NEXT_FLOATS, NEXT_INTEGERS}),
    (("rules=[{match: {name: head}, scale: dynamic}]",), {NEXT_INTEGERS}),
    (("defaults.signed=true",), {NEXT_FLOATS, NEXT_INTEGERS}),
]


class Batches(list[Tensor]):
    """Notes how often it is gone through."""

    passes = 0

    def __iter__(self):
        self.passes += 1
        return super().__iter__()


@pytest.fixture(scope="module")
def analysed(small_net: nn.Module, images: Tensor) -> AnalysedModel:
    return analyse(small_net, images)


def on(model: AnalysedModel, *settings: str) -> ConvertedModel:
    spec = asim_fx.load_spec("generic-255x8b", [*BASE, *settings])
    return lower(map_onto(model.copied(), spec), model.model, model.example).eval()


@pytest.mark.parametrize(("change", "again"), CHANGES)
def test_what_is_remembered_is_what_would_be_seen(
    analysed: AnalysedModel, images: Tensor, change: tuple[str, ...], again: set[int]
) -> None:
    batches, known = Batches([images[:3], images[3:]]), Observations()
    asim_fx.calibrate(on(analysed), batches, known)
    assert batches.passes == 2  # one of the float model, one of the integer model
    remembered, alone = on(analysed, *change), on(analysed, *change)
    asim_fx.calibrate(remembered, batches, known)
    assert batches.passes == 2 + len(again)
    asim_fx.calibrate(alone, [images[:3], images[3:]])
    assert remembered.calibration == alone.calibration
    assert remembered.report.rows == alone.report.rows
    assert torch.equal(remembered(images), alone(images))


def test_nothing_is_seen_twice(analysed: AnalysedModel, images: Tensor) -> None:
    batches, known = Batches([images]), Observations()
    for change, _ in CHANGES:
        asim_fx.calibrate(on(analysed, *change), batches, known)
    before = batches.passes
    for change, _ in CHANGES:
        asim_fx.calibrate(on(analysed, *change), batches, known)
    assert batches.passes == before


def test_sites_are_remembered_one_by_one(analysed: AnalysedModel, images: Tensor) -> None:
    """A plan that mixes options of which each was seen before runs nothing."""
    batches, known = Batches([images]), Observations()
    for encoding in (1, 2):
        asim_fx.calibrate(on(analysed, f"defaults.input_encoding={encoding}"), batches, known)
    before = batches.passes
    mixed = "rules=[{match: {name: [stem, qk]}, input_encoding: 2}]"
    remembered, alone = on(analysed, mixed), on(analysed, mixed)
    asim_fx.calibrate(remembered, batches, known)
    asim_fx.calibrate(alone, [images])
    assert batches.passes == before
    assert remembered.calibration == alone.calibration


def test_the_identities_tell_apart(analysed: AnalysedModel, images: Tensor) -> None:
    plain = on(analysed)
    asim_fx.calibrate(plain, [images])
    plain.set_fidelity("integer")
    for change in (
        ("defaults.input_encoding=4", "macros.m.adc.bits=4", "defaults.hybrid.levels=2"),
        ("macros.m.rows=16", "rules=[{match: {op: conv}, target: integer}]"),
    ):
        other = on(analysed, *change)
        assert float_identity(plain) == float_identity(other)
        asim_fx.calibrate(other, [images])
        other.set_fidelity("integer")
        assert integer_identity(plain) == integer_identity(other)
        assert torch.equal(plain(images), other(images))
    assert integer_identity(plain) != integer_identity(on(analysed, "defaults.weight_bits=4"))
    assert integer_identity(plain) != integer_identity(on(analysed))  # not calibrated yet
    assert float_identity(plain) != float_identity(on(analysed, "defaults.target=float"))


def test_what_fails_is_not_remembered(analysed: AnalysedModel, images: Tensor) -> None:
    known = Observations()
    with pytest.raises(InputError):
        asim_fx.calibrate(on(analysed), [images, torch.zeros(3)], known)
    assert not known.magnitudes
    assert not known.macs


def test_the_oldest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asim_fx.calibration.remembering._MOST_KEPT", 2)
    known: dict[tuple[str, ...], int] = {}
    for number in range(4):
        keep(known, (str(number),), number)
    assert list(known.values()) == [2, 3]
