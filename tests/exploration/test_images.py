"""Images in memory: read once, selected without copies, never more than fit."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from asim_fx.errors import DataError
from asim_fx.exploration import images as module
from asim_fx.exploration.images import Images, halves, read_images, same_images
from tests.simulation.test_run import Pictures, source


def seen(images: Images) -> Tensor:
    return torch.cat(list(images.batches()))


def pictures(count: int) -> Tensor:
    return torch.arange(float(count)).reshape(-1, 1, 1, 1)


@pytest.mark.parametrize(
    "labels",
    [
        [0, 0, 0, 1, 1, 1, 1],  # class by class, as in a folder
        [0, 1, 2, 3] * 3,  # in turn from each class
        [0, 0, 2],
    ],
)
def test_no_half_lacks_a_class_that_has_two_images(labels: list[int]) -> None:
    pictures = torch.arange(float(len(labels))).reshape(-1, 1, 1, 1)
    one, other = halves(Images(pictures, torch.tensor(labels), 4))
    assert sorted([*seen(one).flatten().tolist(), *seen(other).flatten().tolist()]) == list(range(len(labels)))
    for label in set(labels):
        counts = [(half.labels == label).sum().item() for half in (one, other)]
        assert abs(counts[0] - counts[1]) <= 1
    assert [labels[int(place)] for place in seen(one).flatten()] == one.labels.tolist()


def test_images_that_mix_classes_are_halved_by_turns() -> None:
    one, _ = halves(Images(torch.arange(6.0).reshape(-1, 1, 1, 1), torch.tensor([0, 0, 1, 1, 0, 1]), 4))
    assert seen(one).flatten().tolist() == [0, 2, 4]


def test_selections_share_the_pixels() -> None:
    images = Images(pictures(7), torch.arange(7), 3)
    half = halves(images)[0].select(torch.tensor([1, 3]))
    assert half.pixels.data_ptr() == images.pixels.data_ptr()
    assert seen(half).flatten().tolist() == half.labels.tolist() == [2, 6]
    assert [len(batch) for batch in images.batches()] == [3, 3, 1]


def test_images_are_spread_evenly() -> None:
    images = Images(pictures(9), torch.arange(9), 4)
    assert images.spread(3).labels.tolist() == [0, 4, 8]
    assert images.spread(9) is images


def test_reading_keeps_the_order() -> None:
    data = source(Pictures(torch.randn(7, 2, 8, 8), torch.arange(7)), batch_size=3)
    found = read_images(data)
    assert torch.equal(found.pixels, torch.cat([batch for batch, _ in data]))
    assert found.labels.tolist() == list(range(7))


def test_more_images_than_fit_are_refused_before_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    class Watched(Pictures):
        def __getitem__(self, index: int) -> tuple[Tensor, int]:
            asked.append(index)
            return super().__getitem__(index)

    data = source(Watched(torch.randn(9, 2, 8, 8), torch.arange(9) % 5), batch_size=2)
    monkeypatch.setattr(module, "MOST_BYTES", 9 * 2 * 8 * 8 * 4)
    assert len(read_images(data)) == 9
    asked.clear()
    monkeypatch.setattr(module, "MOST_BYTES", 8 * 2 * 8 * 8 * 4)
    with pytest.raises(DataError, match="9 images of 2x8x8 take") as refused:
        read_images(data)
    assert refused.value.hint.startswith("--num-samples 8 ")
    assert asked == [0, 1]


def test_images_without_a_label() -> None:
    with pytest.raises(DataError, match="no label"):
        read_images(source(Pictures(torch.randn(2, 2, 8, 8), torch.tensor([0, -1]))))


def test_the_same_images() -> None:
    one = Images(pictures(4), torch.arange(4), 3)
    assert same_images(one, Images(pictures(4), torch.arange(4), 3))
    assert not same_images(one, Images(pictures(4).flip(0), torch.arange(4), 3))
    assert not same_images(one, one.spread(3))
