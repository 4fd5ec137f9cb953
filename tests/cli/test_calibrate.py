"""asim-convert --calibrate, from the shell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

import asim_fx
from tests.cli.command import run

MODEL, SPEC = "asim:digits_resnet", "generic-255x8b"
STATIC = ("--set", "defaults.scale=static")
WINDOW = ("--set", "macros.m.adc.bits=5", "--set", "macros.m.adc.range=calibrated")
DIGITS = ("--calibrate", "digits", "--calib-samples", 16)


def test_the_report_shows_what_is_clipped(capsys) -> None:
    method = ("--set", "defaults.calibration={method: percentile, percentile: 99}")
    done = run(capsys, "asim-convert", MODEL, SPEC, *STATIC, *method, *DIGITS, "--report", "json")
    assert done.code == 0, done.err
    sites = json.loads(done.out)["sites"]
    assert any(site["clipped"] > 0.005 for site in sites)
    for site in sites:
        assert 0 <= site["clipped"] <= 0.0101
        assert site["static_scale"] > 0
        assert site["settings"]["calibration.method"] == "percentile"


def test_windows_are_calibrated_kept_and_used(capsys, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run(capsys, "asim-convert", MODEL, SPEC, *WINDOW, *DIGITS, "-o", out, "--report", "json")
    assert done.code == 0, done.err
    analog = [site for site in json.loads(done.out)["sites"] if site["target"] == "analog"]
    assert all(0 <= site["window_low_mac"] < site["window_high_mac"] <= 255 for site in analog)
    record = json.loads((out / "calibration.json").read_text())["sites"]
    assert set(record) == {site["name"] for site in analog}
    windows = [site["window"] for site in record.values()]
    assert all(float(window["csnr_db"]) > window["full_range_csnr_db"] for window in windows)
    used = run(capsys, "asim-simulate", out, "--data", "digits", "--num-samples", 32, "--json")
    assert used.code == 0, used.err
    hardware = json.loads(used.out)["variants"][-1]
    assert hardware["top1"]["mean"] > 80  # about 10 with the full range


def test_without_calibration_a_window_is_refused(capsys, tmp_path: Path) -> None:
    refused = run(capsys, "asim-convert", MODEL, SPEC, *WINDOW, "-o", tmp_path / "out")
    assert refused.code == 2
    assert "`adc.range: calibrated` needs calibration at layers.0.conv1" in refused.err
    assert "--calibrate" in refused.err
    assert not (tmp_path / "out").exists()


def test_one_image_is_enough(capsys) -> None:
    one = run(capsys, "asim-convert", MODEL, SPEC, *STATIC, *WINDOW, "--calibrate", "digits", "--calib-samples", 1)
    assert one.code == 0, one.err
    assert "calibrated on 1 image of digits (train)" in " ".join(one.err.split())
    assert "warning" not in one.err


def test_few_and_constant_images_are_said_and_recorded(capsys, tmp_path: Path) -> None:
    (tmp_path / "train/black").mkdir(parents=True)
    Image.new("L", (8, 8)).save(tmp_path / "train/black/1.png")
    out = tmp_path / "out"
    done = run(capsys, "asim-convert", MODEL, SPEC, *STATIC, "--calibrate", tmp_path, "-o", out)
    assert done.code == 0, done.err
    said = " ".join(done.err.split())
    assert "has 1 image to calibrate on, fewer than --calib-samples 256" in said
    assert "met one value alone at" in said
    images = json.loads((out / "calibration.json").read_text())["images"]
    assert (images["split"], images["asked"], images["count"]) == ("train", 256, 1)
    assert str(tmp_path) in images["source"]
    loaded = asim_fx.load(out)
    assert loaded.calibration_images is not None
    assert loaded.calibration_images.count == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((*STATIC, "--calibrate", "nowhere"), "nowhere"),
        ((*STATIC, "--calibrate", "digits", "--calib-split", "moon"), "--calib-split test"),
        ((*STATIC, "--calibrate", "digits", "--calib-samples", 0), "calib-samples"),
        (("--calibrate", "digits"), "nothing to do"),
        ((*STATIC, "--dry-run", "--calibrate", "digits"), "--dry-run"),
        (("--set", "defaults.calibration.method=median"), "max, percentile, mse or kl"),
        (("--set", "defaults.calibration.percentile=0"), "percentile"),
        (("--set", "defaults.calibration.percentile=100.5"), "above 0 and at most 100, not 100.5"),
        (("--set", "defaults.calibration=kl"), "calibration"),
        ((*STATIC, "--set", "defaults.calibration.method=kl", "--set", "defaults.input_bits=12"), "10 or less"),
        (("--set", "defaults.weight_scale=row"), "tensor or channel"),
        (("--set", "macros.m.adc.window.method=max"), "percentile, mse or csnr"),
        (("--set", "macros.m.adc.range=calibrated", "--set", "macros.m.adc.bits=ideal"), "adc.bits"),
        (("--set", "macros.m.adc.range=calibrated", "--set", "macros.m.adc.window.high_mac=9"), "range: window"),
    ],
)
def test_bad_input_is_named(capsys, arguments: tuple[object, ...], words: str) -> None:
    refused = run(capsys, "asim-convert", MODEL, SPEC, *arguments)
    assert refused.code == 2
    assert words in " ".join(refused.err.replace("`", "").replace("'", "").split())
    assert "Traceback" not in refused.err


def test_what_has_no_effect_is_noted(capsys) -> None:
    settings = ("--set", "defaults.weight_scale=channel", "--set", "defaults.calibration.method=mse")
    done = run(capsys, "asim-convert", "asim:digits_vit", SPEC, *settings, "--dry-run", "--report", "json")
    notes = {site["name"]: " ".join(site["notes"]) for site in json.loads(done.out)["sites"]}
    assert all("`calibration.method` has no effect" in text for text in notes.values())
    works_as = {name for name, text in notes.items() if "works as `tensor`" in text}
    assert works_as
    assert all(name.endswith((".qk", ".av")) for name in works_as)
