"""The record of an epoch as a line of JSON, and as points of curves."""

from __future__ import annotations

import json

import pytest

from asim_fx.training.epoch_record import EpochRecord

RECORD = EpochRecord(epoch=2, step=6, lr=0.1, train_loss=1 / 3, loss=None, top1=None, seconds=1.5)


def test_json_keeps_every_bit() -> None:
    assert EpochRecord.from_json(json.loads(json.dumps(RECORD.to_json()))) == RECORD
    with pytest.raises(TypeError):
        EpochRecord.from_json({"epoch": 1})


def test_what_was_not_measured_is_not_drawn() -> None:
    assert RECORD.curves() == {"lr": 0.1, "train_loss": 1 / 3}
