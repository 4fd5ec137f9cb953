from __future__ import annotations

import re
import sys

import pytest

from asim_fx.models import build_model
from asim_fx.simulation.metrics import Estimate
from benchmarks import digits_noise
from benchmarks.digits_noise import CHIPS, METHODS, Chip, cell, convert


def test_every_cell_of_the_table_is_the_hardware_that_it_names() -> None:
    built = build_model("asim:digits_resnet")
    plans = {}
    for method, overrides in METHODS.items():
        converted = convert(built, Chip(6, 0.05), overrides)
        row = next(row for row in converted.report.rows if row.target == "analog")
        plans[method] = (row.cells_digital, row.cells_voted, row.vote, row.settings["weight_scale"])
        assert row.adc_bits == 6
    assert list(plans.values()) == [
        (0, 0, "", "tensor"),
        (0, 0, "", "channel"),
        (6, 0, "", "tensor"),
        (0, 6, "mode", "tensor"),
        (0, 6, "median", "tensor"),
    ]
    assert [(chip.adc_bits, chip.noise_percent) for chip in CHIPS] == [(8, 0), (8, 0.1), (8, 0.2), (8, 0.4), (6, 0.05)]


def test_the_table_of_a_few_images(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(digits_noise, "CHIPS", (Chip(8, 0.0), Chip(8, 0.4)))
    monkeypatch.setattr(
        sys, "argv", ["digits_noise", "--models", "digits_resnet", "--num-samples", "2", "--seeds", "0:2"]
    )
    digits_noise.main()
    out = capsys.readouterr().out
    rows = [line for line in out.splitlines() if line.startswith("| 8 bits")]
    assert [row.count("|") for row in rows] == [7, 7]
    assert "±" not in rows[0]
    cells = [cell.strip() for cell in rows[1].strip("|").split("|")[1:]]
    assert all(re.fullmatch(r"[0-9.]+( ± [0-9.]+)?", cell) for cell in cells)
    assert "75.0 ± 50.0" in cells  # of two images, one draw has one right and the other both


def test_a_cell_shows_an_interval_only_over_seeds() -> None:
    assert cell(Estimate(97.0, 96.0, 98.0, "3 seeds, Student t")) == "97.0 ± 1.0"
    assert cell(Estimate(97.0, 96.0, 98.0, "360 images, Wilson")) == "97.0"
