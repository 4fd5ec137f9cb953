from __future__ import annotations

import sys

import pytest

from benchmarks import calibration


def test_the_tables_of_a_few_images(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(calibration, "BITS", (8,))
    monkeypatch.setattr(calibration, "ADC_BITS", (5,))
    monkeypatch.setattr(calibration, "SCALES", {name: calibration.SCALES[name] for name in ("dynamic", "static, mse")})
    monkeypatch.setattr(calibration, "WINDOWS", {name: calibration.WINDOWS[name] for name in ("all rows", "csnr")})
    words = ["calibration", "--models", "digits_resnet", "--num-samples", "40", "--calib-samples", "16"]
    monkeypatch.setattr(sys, "argv", words)
    calibration.main()
    rows = [[cell.strip() for cell in line.split("|")] for line in capsys.readouterr().out.splitlines() if "|" in line]
    found = {row[1]: row[2] for row in rows}
    assert float(found["dynamic"]) > 95
    # Calibrated static scales lose at most one image in 40 against dynamic ones.
    assert float(found["static, mse"]) >= float(found["dynamic"]) - 2.5
    assert float(found["csnr"].split(",")[0]) > 50 + float(found["all rows"].split(",")[0])
