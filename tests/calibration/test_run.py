"""Calibration of a converted model: scales and windows, kept and forgotten."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import asim_fx
from asim_fx.calibration import remeasure, uncalibrated_sites, uncalibrated_windows
from asim_fx.calibration.macs import MacHistogram, observe_macs
from asim_fx.conversion import convert
from asim_fx.errors import ArtifactError, DataError, InputError, NumericsError
from asim_fx.fingerprint import fingerprint

STATIC = ["defaults.scale=static"]


@pytest.fixture
def converted(small_net: nn.Module, images: Tensor) -> asim_fx.ConvertedModel:
    return asim_fx.convert(small_net, asim_fx.load_spec("ideal", STATIC), images)


def test_before_calibration_the_site_is_named(converted: asim_fx.ConvertedModel, images: Tensor) -> None:
    assert set(uncalibrated_sites(converted)) == {"stem", "depthwise", "qkv", "qk", "av", "head"}
    with pytest.raises(NumericsError, match="stem"):
        converted(images)


def test_scales_are_the_largest_over_all_batches(converted: asim_fx.ConvertedModel, images: Tensor) -> None:
    asim_fx.calibrate(converted, [images[:2], images[2:]])
    assert not uncalibrated_sites(converted)
    scale = converted.sites()["stem.cim"].input_scale
    assert scale == pytest.approx(float(images.abs().max()), rel=1e-6)


def test_calibrated_on_the_batch_itself_static_is_dynamic(small_net: nn.Module, images: Tensor) -> None:
    static = asim_fx.convert(small_net, asim_fx.load_spec("ideal", STATIC), images)
    asim_fx.calibrate(static, [images])
    dynamic = asim_fx.convert(small_net, "ideal", images)
    # Scales are those of float activations, not of quantised ones, so later sites differ by a few codes.
    torch.testing.assert_close(static(images), dynamic(images), rtol=0.05, atol=0.05)


def test_noise_and_fidelity_are_left_alone(converted: asim_fx.ConvertedModel, images: Tensor) -> None:
    converted.reseed(5, first_sample=11)
    asim_fx.calibrate(converted, [images])
    assert converted.graph_module.asim_rng.tolist() == [5, 11, -1]
    assert {site.fidelity for site in converted.sites().values()} == {"hardware"}


def test_a_calibration_that_fails_changes_nothing(converted: asim_fx.ConvertedModel, images: Tensor) -> None:
    asim_fx.calibrate(converted, [images])
    expected = converted(images)
    with pytest.raises(DataError):
        asim_fx.calibrate(converted, [])
    with pytest.raises(InputError):
        asim_fx.calibrate(converted, [2 * images, torch.zeros(3)])
    assert torch.equal(converted(images), expected)


def test_scales_survive_saving(
    converted: asim_fx.ConvertedModel, small_net: nn.Module, images: Tensor, tmp_path
) -> None:
    asim_fx.calibrate(converted, [images])
    expected = converted(images)
    converted.save(tmp_path / "out")
    assert torch.equal(asim_fx.load(tmp_path / "out", model=small_net)(images), expected)


@pytest.mark.parametrize("method", ["percentile", "mse", "kl"])
def test_other_methods_clip_and_say_how_much(small_net: nn.Module, images: Tensor, method: str) -> None:
    settings = [*STATIC, f"defaults.calibration.method={method}", "defaults.calibration.percentile=90"]
    converted = asim_fx.convert(small_net, asim_fx.load_spec("ideal", settings), images)
    asim_fx.calibrate(converted, [images])
    row = next(row for row in converted.report.rows if row.name == "stem")
    choice = converted.calibration["stem"].input
    assert choice is not None
    assert (choice.method, choice.percentile) == (method, 90 if method == "percentile" else None)
    assert choice.values == images.numel()
    scale = float(converted.sites()["stem.cim"].input_scale)
    assert row.static_scale == choice.scale == scale
    assert row.clipped == pytest.approx(float((images.abs() > scale).double().mean()), abs=2e-3)
    if method == "percentile":
        assert row.clipped == pytest.approx(0.1, abs=0.005)
    assert row.stored_scale is None
    assert next(row for row in converted.report.rows if row.name == "qk").stored_scale is not None


def test_rules_choose_the_method_of_each_site(small_net: nn.Module, images: Tensor, tmp_path: Path) -> None:
    spec = tmp_path / "chip.yaml"
    spec.write_text(
        "version: 1\nname: chip\nmacros: {m: {adc: {bits: ideal}}}\ndefaults: {scale: static}\n"
        "rules:\n- {match: {name: stem}, calibration: {method: percentile, percentile: 50}}\n"
    )
    converted = asim_fx.convert(small_net, spec, images)
    asim_fx.calibrate(converted, [images])
    methods = {label: site.input.method for label, site in converted.calibration.items() if site.input}
    assert methods.pop("stem") == "percentile"
    assert set(methods.values()) == {"max"}


WINDOWED = ["macros.m.adc.bits=4", "macros.m.adc.range=calibrated", "engine=torch"]


@pytest.fixture
def windowed(small_net: nn.Module, images: Tensor) -> asim_fx.ConvertedModel:
    return asim_fx.convert(small_net, asim_fx.load_spec("generic-255x8b", WINDOWED), images)


def test_without_a_window_nothing_is_read(windowed: asim_fx.ConvertedModel, images: Tensor) -> None:
    assert uncalibrated_windows(windowed)
    with pytest.raises(NumericsError, match=r"has no calibrated window"):
        windowed(images)
    windowed.set_fidelity("integer")
    windowed(images)  # no converter


@pytest.mark.parametrize("method", ["percentile", "mse", "csnr"])
def test_a_calibrated_window_is_closer_than_the_full_range(small_net: nn.Module, images: Tensor, method: str) -> None:
    def error(converted: asim_fx.ConvertedModel) -> float:
        hardware = converted(images)
        converted.set_fidelity("integer")
        return float((hardware - converted(images)).square().mean())

    noiseless = ["macros.m.noise.random_percent_fs=0", "macros.m.noise.nonlinear_percent_fs=0"]
    full = asim_fx.convert(small_net, asim_fx.load_spec("generic-255x8b", ["macros.m.adc.bits=4", *noiseless]), images)
    settings = [*WINDOWED, *noiseless, f"macros.m.adc.window.method={method}"]
    converted = asim_fx.convert(small_net, asim_fx.load_spec("generic-255x8b", settings), images)
    asim_fx.calibrate(converted, [images])
    assert not uncalibrated_windows(converted)
    assert error(converted) < 0.1 * error(full)


def test_engines_agree_on_a_calibrated_window(windowed: asim_fx.ConvertedModel, images: Tensor) -> None:
    asim_fx.calibrate(windowed, [images])
    windowed.reseed(3)
    expected = windowed(images)
    windowed.set_engine("cpu")
    windowed.reseed(3)
    assert torch.equal(windowed(images), expected)


def test_windows_survive_saving_and_count_for_identity(
    windowed: asim_fx.ConvertedModel, small_net: nn.Module, images: Tensor, tmp_path: Path
) -> None:
    asim_fx.calibrate(windowed, [images])
    windowed.save(tmp_path / "out")
    loaded = asim_fx.load(tmp_path / "out", model=small_net)
    windowed.reseed(1)
    loaded.reseed(1)
    assert torch.equal(loaded(images), windowed(images))
    assert loaded.calibration == windowed.calibration
    shown = [
        [(row.window_low_mac, row.window_high_mac, row.window_clipped) for row in one.report.rows]
        for one in (loaded, windowed)
    ]
    assert shown[0] == shown[1]
    assert fingerprint(loaded.graph_modules) == fingerprint(windowed.graph_modules)
    asim_fx.calibrate(windowed, [0.3 * images])
    assert fingerprint(loaded.graph_modules) != fingerprint(windowed.graph_modules)


def test_a_changed_record_is_refused(
    windowed: asim_fx.ConvertedModel, small_net: nn.Module, images: Tensor, tmp_path: Path
) -> None:
    asim_fx.calibrate(windowed, [images])
    windowed.save(tmp_path / "out")
    record = tmp_path / "out" / "calibration.json"
    record.write_text(record.read_text().replace('"low_mac": 0.0', '"low_mac": 1.0', 1))
    with pytest.raises(ArtifactError, match="was changed"):
        asim_fx.load(tmp_path / "out", model=small_net)


def test_a_failed_calibration_keeps_windows(windowed: asim_fx.ConvertedModel, images: Tensor) -> None:
    asim_fx.calibrate(windowed, [images])
    before = fingerprint(windowed.graph_modules)
    spoilt = images.clone()
    spoilt[0, 0, 0, 0] = float("nan")
    with pytest.raises(NumericsError, match="stem"):
        asim_fx.calibrate(windowed, [images, spoilt])
    assert fingerprint(windowed.graph_modules) == before
    assert all(site.observer is None for site in windowed.sites().values())


def test_no_number_in_the_data_is_an_error_of_static_scales_too(
    converted: asim_fx.ConvertedModel, images: Tensor
) -> None:
    with pytest.raises(NumericsError, match="the input of site stem holds NaN"):
        asim_fx.calibrate(converted, [images * float("nan")])


@pytest.mark.parametrize(
    "layout",
    [
        ["macros.m.weight_encoding=differential", "macros.m.differential.subtract=analog"],
        ["macros.m.weight_encoding=offset", "macros.m.cell_bits=2"],
        ["macros.m.weights=parallel"],
    ],
)
def test_other_ways_to_hold_weights_have_windows_too(small_net: nn.Module, images: Tensor, layout: list[str]) -> None:
    settings = [*WINDOWED, *layout, "macros.m.noise.nonlinear_percent_fs=0"]
    converted = asim_fx.convert(small_net, asim_fx.load_spec("generic-255x8b", settings), images)
    asim_fx.calibrate(converted, [images])
    assert torch.isfinite(converted(images)).all()
    for site in converted.calibration.values():
        assert site.window is not None
        assert 0 <= site.window.low_mac < site.window.high_mac <= 255


def test_mac_values_are_those_of_the_planes(small_net: nn.Module, images: Tensor) -> None:
    weight = small_net.head.weight
    config = ["defaults.weight_bits=3", "defaults.input_bits=2", "defaults.signed=false", "defaults.scale=dynamic"]
    converted = asim_fx.convert(
        nn.Sequential(small_net.head), asim_fx.load_spec("generic-255x8b", config), images[:, 0, :, 0]
    )
    site = next(iter(converted.sites().values()))
    streamed = images[:, 0, :, 0].abs()
    histogram = MacHistogram(255)
    observe_macs(site, streamed, weight, histogram)
    x = torch.round(streamed / (streamed.max() + 1e-7) * 3).int()
    w = (torch.round(weight.abs() / (weight.abs().max() + 1e-7) * 3) * weight.sign()).int()
    expected = torch.zeros(256)
    for j in range(2):
        for i in range(3):
            macs = ((x >> j) & 1) @ ((w >> i) & 1).T
            expected += torch.bincount(macs.flatten(), minlength=256)
    assert torch.equal(histogram.counts[1].float(), expected)


@pytest.mark.parametrize("bound", [0.5, 3.0])
def test_windows_behind_a_learned_bound(bound: float) -> None:
    """The codes that are counted are those of the bound, which is the scale of the site."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))
    spec = asim_fx.load_spec("generic-255x8b", ["macros.m.adc.range=calibrated"])
    x = torch.randn(20, 6)
    converted = convert(model, spec, x, pact=True)
    with torch.no_grad():
        converted.get_parameter("body.1.pact_alpha").fill_(bound)
    asim_fx.calibrate(converted, [x])
    bounded = model[1](model[0](x)).clamp(max=bound)
    site, histogram = converted.sites()["2.cim"], MacHistogram(255)
    observe_macs(site, bounded, model[2].weight, histogram, torch.tensor(bound))
    assert site.config.read.window_known
    assert converted.calibration[site.config.site].window.values == histogram.total
    codes = torch.round(bounded / bound * 255).int()
    assert int(codes.max()) == 255 or bound == 3.0
    assert torch.isfinite(converted(x)).all()


def test_clipping_is_measured_anew_at_the_same_scales(converted: asim_fx.ConvertedModel, images: Tensor) -> None:
    asim_fx.calibrate(converted, [images])
    chosen = dict(converted.calibration)
    remeasure(converted, [images])
    assert converted.calibration == chosen
    remeasure(converted, [2 * images])
    before, after = chosen["stem"].input, converted.calibration["stem"].input
    assert before is not None
    assert after is not None
    assert after.scale == before.scale == converted.sites()["stem.cim"].input_scale
    beyond = float((2 * images.abs() > after.scale).float().mean())
    assert (before.clipped, after.clipped) == (0, pytest.approx(beyond, abs=0.01))
    row = next(row for row in converted.report.rows if row.name == "stem")
    assert row.clipped == after.clipped > 0


def test_windows_are_measured_anew_and_stay(windowed: asim_fx.ConvertedModel, images: Tensor) -> None:
    asim_fx.calibrate(windowed, [images])
    chosen = dict(windowed.calibration)
    remeasure(windowed, [images])
    assert windowed.calibration == chosen
    remeasure(windowed, [torch.rand_like(images)])
    windows = [(chosen[label].window, site.window) for label, site in windowed.calibration.items()]
    assert all((one.low_mac, one.high_mac) == (other.low_mac, other.high_mac) for one, other in windows)
    assert any(one.csnr_db != other.csnr_db for one, other in windows)


def test_without_a_calibration_nothing_is_measured(converted: asim_fx.ConvertedModel) -> None:
    remeasure(converted, [])
    assert not converted.calibration
