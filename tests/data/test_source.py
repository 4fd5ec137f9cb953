from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from asim_fx.data import open_data
from asim_fx.digits import MEAN, PIXEL_MAX, STD, data_config, load_digits
from asim_fx.errors import DataError

RGB = {"input_size": [3, 8, 8], "mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bilinear", "crop_pct": 1.0}
GRAY = {**RGB, "input_size": [1, 8, 8], "mean": [0.5], "std": [0.5]}


def write_image(path: Path, value: int, mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (8, 8), value if mode == "L" else (value, value, value)).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve images; the grey value is 10 x class + position, and classes sort by number."""
    root = tmp_path / "images"
    for position in range(3):
        for order, name in enumerate(("c1", "c2", "c10", "c11")):
            write_image(root / name / f"{position}.png", 10 * order + position)
    return root


def everything(source, first: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    images, labels = zip(*source.batches(first), strict=True)
    return torch.cat(images), torch.cat(labels)


def test_digits_are_normalised_as_the_models_were_trained() -> None:
    source = open_data("digits", config=data_config(), batch_size=100)
    images, labels = everything(source)
    expected = load_digits("test")
    assert images.shape == (360, 1, 8, 8)
    assert images.dtype == torch.float32
    restored = (images * STD + MEAN) * PIXEL_MAX
    np.testing.assert_allclose(restored[:, 0].numpy(), expected.images, atol=1e-4)
    assert labels.tolist() == expected.labels.tolist()
    assert (source.samples, source.classes, source.batch_count) == (360, 10, 4)
    assert len(everything(open_data("digits", config=data_config(), split="train"))[1]) == 1437


@pytest.mark.parametrize("workers", [0, 2])
def test_a_folder_in_natural_order(folder: Path, workers: int) -> None:
    source = open_data(str(folder), config=RGB, batch_size=5, workers=workers)
    images, labels = everything(source)
    assert labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    values = ((images[:, 0, 0, 0] * 0.5 + 0.5) * 255).round()
    assert values.tolist() == [0, 1, 2, 10, 11, 12, 20, 21, 22, 30, 31, 32]
    assert (source.samples, source.classes, source.batch_count) == (12, 4, 3)


@pytest.mark.parametrize("split_folder", ["validation", "val", "test"])
def test_the_folder_of_the_split_is_found(folder: Path, tmp_path: Path, split_folder: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    folder.rename(root / split_folder)
    write_image(root / "train" / "other" / "0.png", 0)
    assert open_data(str(root), config=RGB).samples == 12
    assert open_data(str(root), config=RGB, split="train").samples == 1


def test_num_samples_takes_the_first(folder: Path) -> None:
    source = open_data(str(folder), config=RGB, batch_size=4, num_samples=6)
    assert everything(source)[1].tolist() == [0, 0, 0, 1, 1, 1]
    assert (source.samples, source.batch_count) == (6, 2)
    assert source.description.endswith("6 images")


def test_first_images_of_one_class_are_said_to_be(folder: Path) -> None:
    assert open_data(str(folder), config=RGB, num_samples=3).description.endswith("3 images, all of one class")


def test_balanced_images_of_a_folder_are_in_turn_from_each_class(folder: Path) -> None:
    source = open_data(str(folder), config=RGB, batch_size=4, num_samples=6, balanced=True)
    assert source.description.endswith("6 images, in turn from each class")
    images, labels = everything(source)
    assert labels.tolist() == [0, 1, 2, 3, 0, 1]
    assert ((images[:, 0, 0, 0] * 0.5 + 0.5) * 255).round().tolist() == [0, 10, 20, 30, 1, 11]
    assert (source.samples, source.batch_count) == (6, 2)
    fewer = open_data(str(folder), config=RGB, num_samples=4, balanced=True)
    assert torch.equal(everything(fewer)[0], images[:4])
    assert open_data(str(folder), config=RGB, num_samples=99, balanced=True).samples == 12


def test_a_class_with_few_images_gives_those_it_has(folder: Path) -> None:
    for position in (1, 2):
        (folder / "c1" / f"{position}.png").unlink()
    source = open_data(str(folder), config=RGB, num_samples=9, balanced=True)
    assert everything(source)[1].tolist() == [0, 1, 2, 3, 1, 2, 3, 1, 2]


@pytest.mark.parametrize("first", [0, 1, 2, 3])
def test_batches_go_on_from_any_of_them(folder: Path, first: int) -> None:
    source = open_data(str(folder), config=RGB, batch_size=5)
    whole = list(source)
    rest = list(source.batches(first))
    assert len(rest) == len(whole) - first
    for (images, labels), (same_images, same_labels) in zip(rest, whole[first:], strict=True):
        assert torch.equal(images, same_images)
        assert torch.equal(labels, same_labels)


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_are_dealt_out_whole(folder: Path, workers: int) -> None:
    source = open_data(str(folder), config=RGB, batch_size=5, workers=workers)
    dealt = [list(source.batches(rank, 2)) for rank in range(2)]
    assert [len(labels) for _, labels in dealt[0]] == [5, 2]
    assert [len(labels) for _, labels in dealt[1]] == [5]
    whole = list(source)
    for (images, labels), (same_images, same_labels) in zip(
        [dealt[0][0], dealt[1][0], dealt[0][1]], whole, strict=True
    ):
        assert torch.equal(images, same_images)
        assert torch.equal(labels, same_labels)


def test_a_model_of_one_channel_gets_gray_images(folder: Path) -> None:
    images, _ = next(iter(open_data(str(folder), config=GRAY)))
    assert images.shape[1:] == (1, 8, 8)


def test_gray_palette_and_transparent_images_become_rgb(tmp_path: Path) -> None:
    for mode in ("L", "P", "RGBA", "1"):
        path = tmp_path / "root" / "class" / f"{mode}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new(mode, (8, 8)).save(path)
    images, _ = next(iter(open_data(str(tmp_path / "root"), config=RGB)))
    assert images.shape == (4, 3, 8, 8)


def test_identity_tells_data_preparation_and_number_apart(folder: Path) -> None:
    def identity(**options) -> str:
        return open_data(str(folder), **{"config": RGB, **options}).identity

    first = identity()
    assert identity() == first
    assert identity(batch_size=3, workers=1) == first
    others = [identity(config={**RGB, "crop_pct": 0.9}), identity(num_samples=5)]
    (folder / "c1" / "0.png").rename(folder / "c1" / "9.png")
    others.append(identity())
    assert len({first, *others}) == 4


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n broken", None])
def test_an_image_that_cannot_be_decoded_is_named(folder: Path, content: bytes | None, workers: int) -> None:
    broken = folder / "c2" / "1.png"
    broken.write_bytes(broken.read_bytes()[:45] if content is None else content)
    with pytest.raises(DataError, match=r"c2/1\.png cannot be decoded") as caught:
        list(open_data(str(folder), config=RGB, batch_size=4, workers=workers))
    assert "Traceback" not in str(caught.value)


def test_a_folder_that_is_missing_or_empty(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no data folder"):
        open_data(str(tmp_path / "none"), config=RGB)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="no data folder"):
        open_data(str(tmp_path / "file"), config=RGB)
    (tmp_path / "empty" / "class").mkdir(parents=True)
    with pytest.raises(DataError, match="holds no images"):
        open_data(str(tmp_path / "empty"), config=RGB)


def test_images_without_class_folders(tmp_path: Path) -> None:
    write_image(tmp_path / "loose" / "1.png", 0)
    with pytest.raises(DataError, match="no class folders"):
        open_data(str(tmp_path / "loose"), config=RGB)


def test_a_folder_with_another_split_only(tmp_path: Path) -> None:
    write_image(tmp_path / "root" / "train" / "cat" / "1.png", 0)
    with pytest.raises(DataError, match="none for the split 'validation'") as caught:
        open_data(str(tmp_path / "root"), config=RGB)
    assert "--split train" in caught.value.hint


@pytest.mark.parametrize(
    ("config", "split", "words"),
    [(RGB, "test", "this model takes 3x8x8"), (data_config(), "holdout", "no split 'holdout'")],
)
def test_digits_that_do_not_suit(config: dict, split: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        open_data("digits", config=config, split=split)


def test_channels_that_no_image_file_has(folder: Path) -> None:
    with pytest.raises(DataError, match="takes 4"):
        open_data(str(folder), config={**RGB, "input_size": [4, 8, 8], "mean": [0.5] * 4, "std": [0.5] * 4})


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("torch/cifar10", "needs --data-dir"),
        ("torch/no_such_set", "cannot open torch/no_such_set"),
        ("hfds/no_such_set", "hfds/no_such_set"),
    ],
)
def test_named_data_that_cannot_be_had(source: str, words: str, tmp_path: Path) -> None:
    data_dir = None if "needs" in words else tmp_path
    with pytest.raises(DataError, match=words):
        open_data(source, config=RGB, data_dir=data_dir)


def test_a_download_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    from torchvision.datasets import CIFAR10

    def download(_: CIFAR10) -> None:
        print("downloading")
        message = "no network"
        raise OSError(message)

    monkeypatch.setattr(CIFAR10, "download", download)
    with pytest.raises(DataError, match="no network"):
        open_data("torch/cifar10", config=RGB, data_dir=tmp_path)
    assert capsys.readouterr().out == ""


class ListOfImages:
    """Like a data set of torchvision."""

    classes = ("a", "b")

    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        return Image.new("L", (8, 8), index), index % 2


def test_a_data_set_of_timm_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("timm.data.create_dataset", lambda *_, **__: ListOfImages())
    source = open_data("torch/mnist", config=RGB, data_dir=tmp_path, batch_size=2)
    images, labels = everything(source)
    assert images.shape == (5, 3, 8, 8)
    assert labels.tolist() == [0, 1, 0, 1, 0]
    assert (source.samples, source.classes) == (5, 2)


def test_timm_s_reader_is_asked_so_that_no_image_is_replaced(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    from timm.data import ImageDataset

    (folder / "c2" / "1.png").write_bytes(b"broken")
    monkeypatch.setattr("timm.data.create_dataset", lambda *_, **__: ImageDataset(str(folder)))
    source = open_data("hfds/stand-in", config=RGB)
    assert source.classes == 4
    with pytest.raises(DataError, match="image 4 of hfds/stand-in cannot be decoded"):
        list(source)


class Stream:
    """Like a data set of timm that can only be read from its start."""

    transform = None

    def __iter__(self):
        for index in range(7):
            yield self.transform(Image.new("RGB", (8, 8), (index,) * 3)), index


def test_a_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("timm.data.create_dataset", lambda *_, **__: Stream())
    source = open_data("wds/stand-in", config=RGB, batch_size=3)
    assert (source.samples, source.batch_count) == (None, None)
    assert everything(source)[1].tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert everything(source, first=1)[1].tolist() == [3, 4, 5, 6]
    assert everything(open_data("wds/stand-in", config=RGB, batch_size=3, num_samples=4))[1].tolist() == [0, 1, 2, 3]


def test_an_empty_data_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(ListOfImages, "__len__", lambda _: 0)
    monkeypatch.setattr("timm.data.create_dataset", lambda *_, **__: ListOfImages())
    with pytest.raises(DataError, match="is empty"):
        open_data("torch/mnist", config=RGB, data_dir=tmp_path)
