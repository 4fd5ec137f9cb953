"""Static scales come from the largest magnitudes that a site meets."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import asim_fx
from asim_fx.calibration import uncalibrated_sites
from asim_fx.errors import DataError, InputError, NumericsError

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
