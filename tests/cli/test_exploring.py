"""What workers of a sweep get: it pickles, and the same question is the same after that."""

from __future__ import annotations

import pickle
from dataclasses import replace

from asim_fx.cli.work.calibrating import CalibrationOptions
from asim_fx.cli.work.exploring import BenchOf, DataOptions, Question
from asim_fx.cli.work.planning import ModelOptions
from asim_fx.exploration.on_ray import _prepared
from asim_fx.spec import load_spec

QUESTION = Question(
    "asim:digits_vit",
    ModelOptions(),
    load_spec("generic-255x8b", ["macros.m.adc.range=calibrated"]),
    DataOptions("digits", batch_size=4, num_samples=4),
    (0,),
    CalibrationOptions("digits", samples=4),
)


def test_a_worker_captures_once_for_all_of_its_cells() -> None:
    """Each task of a cluster unpickles what prepares it anew."""
    first, second = (pickle.loads(pickle.dumps(BenchOf(QUESTION))) for _ in range(2))
    assert first == second
    assert hash(first) == hash(second)
    _prepared.cache_clear()
    evaluate = _prepared(first)
    assert _prepared(second) is evaluate
    assert evaluate((("macros.m.adc.bits", "6"),)).top1 is not None
    _prepared.cache_clear()


def test_other_questions_are_others() -> None:
    others = [
        replace(QUESTION, seeds=(1,)),
        replace(QUESTION, spec=load_spec("generic-255x8b")),
        replace(QUESTION, calibration=None),
        replace(QUESTION, calibration=CalibrationOptions("digits", samples=5)),
        replace(QUESTION, fold_batch_norm=False),
    ]
    assert all(BenchOf(other) != BenchOf(QUESTION) for other in others)
