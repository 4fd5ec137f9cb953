"""The record of an epoch as a line of JSON, and as points of curves."""

from __future__ import annotations

import json

import pytest

from asim_fx.training.epoch_record import EpochRecord

from .helper import record

RECORD = record(epoch=2, step=6, train_loss=1 / 3)


def test_json_keeps_every_bit() -> None:
    assert EpochRecord.from_json(json.loads(json.dumps(RECORD.to_json()))) == RECORD
    with pytest.raises(TypeError):
        EpochRecord.from_json({"epoch": 1})


def test_what_was_not_measured_is_not_drawn() -> None:
    assert RECORD.curves() == {"lr": 0.1, "train_loss": 1 / 3}
    assert record(lr=None, train_loss=None, top1=50.0).curves() == {"top1": 50.0}
