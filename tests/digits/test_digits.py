from __future__ import annotations

import json
from importlib.resources import files

import numpy as np
import pytest
import torch
from torch import nn

from asim_fx.data import open_data
from asim_fx.digits import CLASSES, MEAN, PIXEL_MAX, STD, load_digits
from asim_fx.models import build_model
from asim_fx.models.zoo import DIGITS_MODELS


def test_all_images_of_the_origin_are_there_once() -> None:
    train, test = load_digits("train"), load_digits("test")
    assert train.images.shape == (1437, 8, 8)
    assert test.images.shape == (360, 8, 8)
    assert train.images.dtype == test.images.dtype == np.uint8
    everything = np.concatenate([train.images, test.images])
    assert everything.max() == PIXEL_MAX
    # The counts of each class that the UCI repository states for this part.
    labels = np.concatenate([train.labels, test.labels])
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_they_are_those_of_scikit_learn() -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    origin = datasets.load_digits()
    known = {
        (image.astype(np.uint8).tobytes(), int(label))
        for image, label in zip(origin.images, origin.target, strict=True)
    }
    for split in ("train", "test"):
        digits = load_digits(split)
        shipped = {(image.tobytes(), int(label)) for image, label in zip(digits.images, digits.labels, strict=True)}
        assert shipped <= known


def test_the_split_is_stratified() -> None:
    train, test = (np.bincount(load_digits(split).labels, minlength=CLASSES) for split in ("train", "test"))
    assert np.abs(test - 0.2003 * (train + test)).max() < 1


def test_the_normalisation_is_that_of_the_training_images() -> None:
    pixels = load_digits("train").images / PIXEL_MAX
    assert pixels.mean() == pytest.approx(MEAN, abs=1e-3)
    assert pixels.std() == pytest.approx(STD, abs=1e-3)


@pytest.mark.parametrize("name", DIGITS_MODELS)
def test_the_shipped_weights_reach_the_accuracy_they_state(name: str) -> None:
    stated = json.loads((files("asim_fx.digits") / f"{name}.json").read_text())
    built = build_model(f"asim:{name}")
    right = 0
    with torch.no_grad():
        for images, labels in open_data("digits", config=built.source.data_config, split="test"):
            right += int((built.model(images).argmax(1) == labels).sum())
    assert right / 360 == pytest.approx(stated["test_top1"], abs=1.5 / 360)  # one image may tip over elsewhere
    assert stated["test_top1"] >= 0.97
    assert sum(p.numel() for p in built.model.parameters()) == stated["parameters"]


@pytest.mark.parametrize("name", DIGITS_MODELS)
def test_the_weights_are_small(name: str) -> None:
    assert len((files("asim_fx.digits") / f"{name}.safetensors").read_bytes()) < 1.5e6


def test_the_resnet_needs_several_row_tiles() -> None:
    convs = [m for m in build_model("asim:digits_resnet").model.modules() if isinstance(m, nn.Conv2d)]
    assert max(conv.weight[0].numel() for conv in convs) > 4 * 255
