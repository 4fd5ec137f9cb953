"""CIFAR and ImageNet in the layouts of the published simulator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from asim_fx.data import open_data
from asim_fx.errors import DataError

CONFIG: dict[str, Any] = {
    "input_size": (3, 4, 4),
    "mean": (0.0, 0.0, 0.0),
    "std": (1.0, 1.0, 1.0),
    "interpolation": "bilinear",
    "crop_pct": 1.0,
}


def write_image(file: Path, grey: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), (grey, grey, grey)).save(file)


def read(root: Path, split: str) -> tuple[list[int], list[int]]:
    """Return grey values and classes of a part."""
    (images, labels) = next(iter(open_data(str(root), config=CONFIG, split=split)))
    return (images[:, 0, 0, 0] * 255).round().int().tolist(), labels.tolist()


@pytest.mark.parametrize(
    ("parts", "names", "suffix"),
    [
        (("train", "test"), ("airplane", "automobile", "cat"), "png"),
        (("train", "valid"), ("n01440764", "n01443537"), "JPEG"),
    ],
)
def test_folders_of_classes(parts: tuple[str, str], names: tuple[str, ...], suffix: str, tmp_path: Path) -> None:
    for number, part in enumerate(parts):
        for label, name in enumerate(names):
            write_image(tmp_path / part / name / f"0001.{suffix}", 100 * number + 10 * label)
    labels = list(range(len(names)))
    assert read(tmp_path, "train") == ([10 * label for label in labels], labels)
    assert read(tmp_path, "validation") == ([100 + 10 * label for label in labels], labels)


@pytest.fixture
def cifar100(tmp_path: Path) -> Path:
    for part, first in (("train", 0), ("test", 100)):
        rows = ["image_id,coarse_labels,fine_labels"]
        for number, label in enumerate((99, 0, 7)):
            write_image(tmp_path / f"{part}_images" / f"{part}_{number}.png", first + 10 * number)
            rows.append(f"{part}_{number}.png,1,{label}")
        (tmp_path / f"{part}.csv").write_text("\n".join([*rows, f"{part}_9.png,1,3"]))
    return tmp_path


def test_classes_in_a_csv_file(cifar100: Path) -> None:
    assert read(cifar100, "train") == ([0, 10, 20], [99, 0, 7])
    assert read(cifar100, "test") == read(cifar100, "validation") == ([100, 110, 120], [99, 0, 7])
    assert read(cifar100 / "test_images", "validation") == ([100, 110, 120], [99, 0, 7])
    source = open_data(str(cifar100), config=CONFIG, split="test")
    assert (source.samples, source.classes) == (3, 100)
    assert torch.stack([label for _, batch in source for label in batch]).tolist() == [99, 0, 7]


@pytest.mark.parametrize("missing", ["test.csv", "test_images"])
def test_half_of_the_layout_is_an_error(missing: str, cifar100: Path) -> None:
    """Else the two folders of images would be read as two classes."""
    (cifar100 / missing).rename(cifar100 / "elsewhere")
    with pytest.raises(DataError) as error:
        open_data(str(cifar100), config=CONFIG, split="test")
    assert f"there is no {cifar100 / missing}" in str(error.value)
    assert read(cifar100, "train") == ([0, 10, 20], [99, 0, 7])
    if missing == "test.csv":
        with pytest.raises(DataError, match=r"no .*test\.csv"):
            open_data(str(cifar100 / "test_images"), config=CONFIG)


def test_class_folders_in_a_folder_of_that_name(tmp_path: Path) -> None:
    for label, name in enumerate(("cat", "dog")):
        write_image(tmp_path / "test_images" / name / "1.png", 10 * label)
    assert read(tmp_path / "test_images", "validation") == ([0, 10], [0, 1])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("image_id,fine_labels\ntest_0.png,1\ntest_1.png,cat\n", ["test.csv:3", "'cat'"]),
        ("image_id,fine_labels\ntest_0.png,100\n", ["test.csv:2", "'100'", "99"]),
        ("image_id,fine_labels\ntest_0.png,-1\n", ["test.csv:2", "'-1'"]),
        (f"image_id,fine_labels\ntest_0.png,{'9' * 5000}\n", ["test.csv:2", "99999..."]),
        ("image_id,fine_labels\ntest_0.png,\n", ["test.csv:2", "''"]),
        ("image_id,fine_labels\ntest_0.png\n", ["test.csv:2", "fine_labels"]),
        ("image_id,fine_labels\n,4\n", ["test.csv:2", "image_id is empty"]),
        ("image_id,fine_labels\ntest_0.png,1\n\ntest_0.png,2\n", ["test.csv:4", "further up"]),
        ("image_id,labels\ntest_0.png,1\n", ["test.csv:1", "fine_labels"]),
        ("", ["test.csv:1", "image_id"]),
        ("image_id,fine_labels\ntest_0.png,1\n", ["2 images", "test_1.png", "no row"]),
    ],
)
def test_rows_that_cannot_be_read_name_their_line(text: str, words: list[str], cifar100: Path) -> None:
    (cifar100 / "test.csv").write_text(text)
    with pytest.raises(DataError) as error:
        open_data(str(cifar100), config=CONFIG, split="test")
    assert all(word in f"{error.value} {error.value.hint}" for word in words)


def test_a_table_that_is_no_text(cifar100: Path) -> None:
    (cifar100 / "test.csv").write_bytes(b"image_id,fine_labels\n\xff\xfe,1\n")
    with pytest.raises(DataError, match="cannot read"):
        open_data(str(cifar100), config=CONFIG, split="test")
