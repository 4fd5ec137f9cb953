"""Which images are trained on, held out and refused; what is drawn for them; and whose fault an error is."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from asim_fx.data import DataSource, open_data
from asim_fx.data.datasets import ImageStream
from asim_fx.errors import DataError, UsageError
from asim_fx.training.samples import (
    ChosenImages,
    class_names,
    hold_out,
    listed,
    load_batches,
    refuse_same_images,
    refuse_unknown_classes,
    training_transform,
)

from .helper import recipe, source, tiny_images

CONFIG: dict[str, Any] = {
    "input_size": (3, 8, 8),
    "mean": (0.5,) * 3,
    "std": (0.3,) * 3,
    "interpolation": "bilinear",
    "crop_pct": 1.0,
}


def folder(path: Path, count: int = 6) -> Path:
    generator = np.random.default_rng(0)
    for number in range(count):
        file = path / "ab"[number % 2] / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 255, (12, 12, 3), dtype=np.uint8)).save(file)
    return path


def opened(path: Path, transform: Any = None, **config: Any) -> DataSource:
    return open_data(str(path), config={**CONFIG, **config}, transform=transform, num_samples=config.get("samples"))


@dataclass(frozen=True)
class Drawing:
    """Images of what the generators give."""

    identity = "drawing"
    classes = 2

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return torch.tensor([random.random(), float(np.random.rand()), torch.rand(()).item()]), index

    def where(self, index: int) -> str:
        return f"image {index}"


def test_what_is_drawn_depends_on_position_epoch_and_seed_alone() -> None:
    def drawn(order: list[list[int]], seed: int = 0, epoch: int = 0, workers: int = 0) -> dict[int, list[float]]:
        found = {}
        for images, labels in load_batches(Drawing(), order, seed, epoch, workers):
            found |= dict(zip(labels.tolist(), images.tolist(), strict=True))
        return found

    expected = drawn([[0, 1, 2], [3, 4]])
    assert drawn([[4, 1], [3, 0, 2]], workers=1) == expected
    assert len({tuple(values) for values in expected.values()}) == 5
    assert drawn([[0]], seed=1)[0] != expected[0]
    assert drawn([[0]], epoch=1)[0] != expected[0]


def test_a_held_out_share_is_evaluated_and_not_trained_on(tmp_path: Path) -> None:
    path = folder(tmp_path, 10)
    kept, held = hold_out(opened(path), opened(path), 0.3, seed=0)
    assert (len(kept), held.samples) == (7, 3)
    places = [{images.where(n) for n in range(len(images))} for images in (kept, held.images)]
    assert not places[0] & places[1]
    assert len(places[0] | places[1]) == 10
    other = hold_out(opened(path), opened(path), 0.3, seed=1)[1]
    assert other.identity != held.identity


def test_another_preparation_of_what_is_held_out_is_other_data(tmp_path: Path) -> None:
    path = folder(tmp_path, 10)
    identities = {
        hold_out(opened(path), opened(path, **config), 0.3, seed=0)[1].identity
        for config in ({}, {"mean": (0.4,) * 3}, {"std": (0.4,) * 3}, {"input_size": (3, 9, 9)})
    }
    assert len(identities) == 4


@pytest.mark.parametrize("share", [0.01, 0.99])
def test_a_share_leaves_images_on_both_sides(share: float) -> None:
    data = source(tiny_images())
    with pytest.raises(DataError, match="of 48 images holds out"):
        hold_out(data, data, share, 0)


def test_validation_on_what_is_trained_on_is_refused(tmp_path: Path) -> None:
    one, other = folder(tmp_path / "one"), folder(tmp_path / "other", 8)
    refuse_same_images(opened(one), opened(other))
    for trained, evaluated in (
        (opened(one), opened(one)),
        (opened(one), open_data(str(one), config=CONFIG, num_samples=3, balanced=True)),
        (source(tiny_images()), source(tiny_images())),
    ):
        with pytest.raises(DataError, match="these are the images to train on") as caught:
            refuse_same_images(trained, evaluated)
        assert "--val 0.1" in caught.value.hint


def test_streams_and_single_classes_are_refused() -> None:
    data = source(tiny_images())
    with pytest.raises(DataError, match="a stream is read in order"):
        listed(replace(data, images=ImageStream("s", [], "train")))
    with pytest.raises(DataError, match="all images are of one class"):
        listed(replace(data, samples=1))


def test_chosen_images_are_those_of_the_list() -> None:
    images = tiny_images()
    chosen = ChosenImages(images, [5, 2])
    assert len(chosen) == 2
    assert torch.equal(chosen[0][0], images[5][0])
    assert chosen.where(1) == images.where(2)
    assert chosen.identity != ChosenImages(images, [2, 5]).identity


def broken_transform(image: Any) -> Tensor:
    message = "no such colour"
    raise ValueError(message)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_spoilt_file_is_named(tmp_path: Path, workers: int) -> None:
    path = folder(tmp_path)
    (path / "a" / "0.png").write_bytes(b"no image")
    images = ChosenImages(listed(opened(path)), range(6))
    with pytest.raises(DataError, match=r"0\.png cannot be decoded") as caught:
        list(load_batches(images, [[0, 1]], 0, 0, workers))
    assert "repair the file" in caught.value.hint


@pytest.mark.parametrize("workers", [0, 1])
def test_a_transform_that_fails_is_not_the_files_fault(tmp_path: Path, workers: int) -> None:
    images = ChosenImages(listed(opened(folder(tmp_path), broken_transform)), range(6))
    with pytest.raises(UsageError, match=r"0\.png cannot be augmented: ValueError: no such colour") as caught:
        list(load_batches(images, [[0, 1]], 0, 0, workers))
    assert "--no-augment" in caught.value.hint


def test_transforms_are_timms() -> None:
    assert training_transform("folder", CONFIG, recipe(augment=False)) is None
    assert training_transform("digits", CONFIG, recipe()) is None
    pixels = Image.fromarray(np.zeros((20, 30, 3), dtype=np.uint8))
    assert training_transform("folder", CONFIG, recipe(aa="rand-m9"))(pixels).shape == (3, 8, 8)
    with pytest.raises(UsageError, match="--aa nonesuch"):
        training_transform("folder", CONFIG, recipe(aa="nonesuch"))
    with pytest.raises(UsageError, match="--aa, --reprob, --color-jitter change image files"):
        training_transform("digits", CONFIG, recipe(aa="3a", reprob=0.5, color_jitter=0.1))


@pytest.mark.parametrize("strength", [0.0, 0.4])
def test_colours_change_as_much_as_is_asked_for(strength: float) -> None:
    plain = {"hflip": 0.0, "crop_min": 1.0, "color_jitter": strength}
    transform = training_transform("folder", CONFIG, recipe(**plain))
    image = Image.fromarray(np.full((8, 8, 3), (200, 100, 50), dtype=np.uint8))
    torch.manual_seed(0)
    seen = torch.stack([transform(image) for _ in range(4)])
    assert (seen.std(0).max() > 0.01) == (strength > 0)


def test_classes_that_the_model_does_not_have_are_refused(tmp_path: Path) -> None:
    images = listed(opened(folder(tmp_path)))
    refuse_unknown_classes(images, "the images", 2)
    with pytest.raises(DataError, match="the images: there are 2 classes; the model tells 1 apart") as caught:
        refuse_unknown_classes(ChosenImages(images, range(6)), "the images", 1)
    assert caught.value.hint == "give --num-classes 2"


def test_a_folder_names_its_classes(tmp_path: Path) -> None:
    images = listed(opened(folder(tmp_path)))
    assert class_names(ChosenImages(images, [0])) == ("a", "b")
    assert class_names(tiny_images()) == ()
