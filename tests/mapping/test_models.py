"""Whole models on whole chips, planned without values."""

from __future__ import annotations

import pytest
import timm
import torch

from asim_fx.conversion import plan
from asim_fx.spec.loader import load_spec

PRESETS = ("generic-255x8b", "jia-isscc2021")


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224", "mobilenetv2_100"])
def test_a_model_on_chips_of_different_sizes(name, preset):
    with torch.device("meta"):
        model = timm.create_model(name).eval()
    report = plan(model, load_spec(preset), torch.zeros(2, 3, 224, 224, device="meta")).report
    totals, slots = report.totals, report.schedule.slots
    assert len(slots) == sum(row.calls for row in report.rows if row.target == "analog")
    assert totals["macros_needed"] == totals["macros_used"] == totals["arrays"]
    assert totals["sequential_s"] == pytest.approx(sum(row.latency_s for row in report.rows if row.latency_s))
    assert totals["interval_s"] <= totals["latency_s"] <= totals["sequential_s"] * (1 + 1e-9)
    assert totals["buffer_kib"] > 0
