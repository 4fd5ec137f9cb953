"""With an ideal converter and no noise, real networks equal fake-quantised torch, site by site and as a whole.

One architecture of every file of timm and torchvision; the most different ones here, the rest where there is time.
"""

from __future__ import annotations

import pytest
import timm
import torch
import torchvision

import asim_fx
from benchmarks.zoo_cases import CASES, build_case, random_images
from benchmarks.zoo_numerics_row import BATCHES, measure

FAST = (
    "test_resnet",
    "test_vit",  # a patch convolution of 768 taps on 255 rows
    "test_vit_relpos",  # attention biases that are computed
    "test_coatnet",
    "test_convnext",
    "test_efficientnet",
    "test_byobnet",
    "test_nfnet",  # standardised weights
    "mobilenetv3_small_050",
    "efficientvit_b0",  # products of activations without softmax
    "levit_128s",  # linears with batch norm
    "lowformer_b0",  # transposed convolutions
    "torchvision:shufflenet_v2_x0_5",
)


def check(name: str) -> None:
    row = measure(name)
    assert row.agrees, row
    assert row.site_difference.keys() == {str(batch) for batch in BATCHES}


@pytest.mark.parametrize("name", FAST)
def test_agrees(name: str) -> None:
    check(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(CASES.keys() - set(FAST)))
def test_agrees_too(name: str) -> None:
    check(name)


def timm_file(name: str) -> str:
    return timm.model_entrypoint(name).__module__


def torchvision_file(name: str) -> str:
    return torchvision.models.get_model_builder(name).__module__


def test_every_file_of_timm_is_in_the_list() -> None:
    files = {timm_file(name) for name in timm.list_models()}
    assert files - {timm_file(name) for name in CASES if ":" not in name} == set()
    assert len(files) >= 98


def test_every_file_of_torchvision_is_in_the_list() -> None:
    files = {torchvision_file(name) for name in torchvision.models.list_models()}
    listed = {torchvision_file(name.removeprefix("torchvision:")) for name in CASES if ":" in name}
    assert files - listed == set()


@pytest.mark.parametrize(
    "name", ["test_resnet", "test_vit", "test_convnext", "test_efficientnet", "torchvision:resnet18"]
)
def test_sixteen_bits_agree_with_the_float_model(name: str) -> None:
    """To 1 % of the largest logit. 16 x 16 bits over thousands of rows exceed what float32 can add exactly."""
    model = build_case(name)
    (images,) = random_images(name, 2)
    spec = asim_fx.load_spec("ideal", ["defaults.weight_bits=16", "defaults.input_bits=16"])
    converted = asim_fx.convert(model, spec, images)
    with torch.no_grad():
        expected, actual = model(images), converted(images)
    assert (actual - expected).abs().max() <= 0.01 * expected.abs().max()
