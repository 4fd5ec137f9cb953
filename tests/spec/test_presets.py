from __future__ import annotations

from typing import Any

import pytest

from asim_fx.spec.presets import noise_in_words
from asim_fx.spec.schema import HardwareSpec


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"noise": {"random_lsb_rms": 0.5}}, "0.5 LSB random"),
        ({"noise": {"enob": 6.5}, "adc": {"comparator_noise_lsb_rms": 0.2}}, "ENOB 6.5, 0.2 LSB comparator"),
        ({"noise": {"sndr_db": 40.0, "nonlinear_percent_fs": 0.1}}, "SNDR 40 dB, 0.1 nonlinear"),
        ({}, "none"),
    ],
)
def test_noise_in_any_unit_is_said(settings: dict[str, Any], words: str) -> None:
    spec = HardwareSpec.model_validate({"version": 1, "name": "x", "macros": {"m": settings}})
    assert noise_in_words(spec, "m") == words
