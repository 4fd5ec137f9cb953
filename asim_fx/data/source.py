"""Labelled images in batches, always in the same order, from whatever ``--data`` names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from asim_fx.data.datasets import (
    TIMM_LISTS,
    TIMM_STREAMS,
    FolderImages,
    ImageList,
    ImageStream,
    Transform,
    image_transform,
    open_by_name,
    open_folder,
)
from asim_fx.errors import DataError
from asim_fx.models.library import first_line, format_size

Batch = tuple[Tensor, Tensor]

DIGITS = "digits"


@dataclass(frozen=True)
class DataSource:
    """Labelled images in batches. The order never changes, so a position names an image.

    Attributes:
        description: what it is, for people.
        identity: hash of which images these are and how they are prepared.
        samples: number of images; None for a stream of unknown length.
        classes: number of classes, where it is known.
        batch_size: images in every batch but the last.
    """

    description: str
    identity: str
    samples: int | None
    classes: int | None
    batch_size: int
    images: ImageList | ImageStream
    workers: int

    def __iter__(self) -> Iterator[Batch]:
        return self.batches()

    @property
    def batch_count(self) -> int | None:
        """Number of batches, where it is known."""
        return None if self.samples is None else -(-self.samples // self.batch_size)

    def batches(self, first: int = 0, step: int = 1) -> Iterator[Batch]:
        """Yield images, float32 (batch, C, H, W), and classes, int64 (batch,).

        Args:
            first: number of the first batch to yield.
            step: distance to the next one. What is not yielded is read only where a stream leaves no choice.

        Raises:
            DataError: an image cannot be decoded.
        """
        if isinstance(self.images, ImageStream):
            yield from islice(self._streamed(self.images), first, None, step)
        else:
            yield from self._listed(self.images, first, step)

    def _listed(self, images: ImageList, first: int, step: int) -> Iterator[Batch]:
        samples, size = self.samples or 0, self.batch_size
        wanted = [list(range(start, min(start + size, samples))) for start in range(first * size, samples, step * size)]
        loader = DataLoader(_Decoded(images), batch_sampler=wanted, num_workers=self.workers, collate_fn=_collate)
        for batch in loader:
            if isinstance(batch, Undecodable):
                msg = f"{batch.where} cannot be decoded: {batch.reason}"
                raise DataError(msg, hint="repair the file or remove it; no image is skipped silently")
            yield batch

    def _streamed(self, stream: ImageStream) -> Iterator[Batch]:
        samples = islice(stream, self.samples)
        position = 0
        while True:
            try:
                chunk = list(islice(samples, self.batch_size))
            except Exception as error:  # whatever reading or decoding raises
                msg = f"{stream.name} cannot be read on from image {position}: {first_line(error)}"
                raise DataError(msg) from error
            if not chunk:
                return
            position += len(chunk)
            yield _stack(chunk)


@dataclass(frozen=True, slots=True)
class Undecodable:
    """Takes the place of an image on its way out of a worker process, where an exception would lose its type."""

    where: str
    reason: str


@dataclass(frozen=True)
class DigitImages:
    """The shipped digits, normalised as the shipped models were trained."""

    images: Tensor
    labels: Tensor
    identity: str
    classes: int

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return an image, (1, 8, 8), and its class."""
        return self.images[index], int(self.labels[index])

    def where(self, index: int) -> str:
        """Return the position."""
        return f"digit {index}"


def open_data(
    source: str,
    *,
    config: Mapping[str, Any],
    data_dir: Path | None = None,
    split: str = "validation",
    batch_size: int = 64,
    workers: int = 0,
    num_samples: int | None = None,
    balanced: bool = False,
    transform: Transform | None = None,
) -> DataSource:
    """Open labelled images.

    Args:
        source: ``digits``; a folder with a sub-folder for each class, below a sub-folder for the split or
            not; or what ``timm.data.create_dataset`` takes (``torch/cifar10``, ``hfds/NAME``,
            ``wds/PATTERN``).
        config: the model's data configuration, with the keys of ``timm.data.resolve_data_config``.
        data_dir: where a named data set lies, or goes.
        split: which part; for the digits, ``validation`` and ``test`` are the same images.
        batch_size: images in a batch.
        workers: processes that decode; 0 decodes in this one. A stream is always read in this one, in order.
        num_samples: take only the first so many.
        balanced: of a folder, whose files lie class by class, take them in turn from each class instead.
        transform: makes a tensor of a PIL image in the place of timm's evaluation transform; not for the digits.

    Raises:
        DataError: the source is missing, empty, cannot be had, or does not suit the model.
    """
    scheme, slash, _ = source.partition("/")
    images: ImageList | ImageStream
    if source == DIGITS:
        images, workers = _open_digits(config, split), 0
    else:
        mode = _colours(config)
        transform = transform or image_transform(dict(config))
        if slash and scheme in TIMM_LISTS + TIMM_STREAMS:
            images = open_by_name(source, data_dir, split, transform, mode)
        else:
            images = open_folder(source, split, transform, mode)
            images = images.in_turn(num_samples) if balanced else images.remarked(num_samples)
    known = None if isinstance(images, ImageStream) else len(images)
    if known == 0:
        msg = f"{source} is empty (split {split!r})"
        raise DataError(msg)
    samples = min((n for n in (known, num_samples) if n is not None), default=None)
    amount = "a stream of images" if samples is None else f"{samples} images"
    if isinstance(images, FolderImages) and images.note:
        amount += f", {images.note}"
    return DataSource(
        description=f"{source}, {split}, {amount}",
        identity=_hash(images.identity, config, samples),
        samples=samples,
        classes=None if isinstance(images, ImageStream) else images.classes,
        batch_size=batch_size,
        images=images,
        workers=workers,
    )


class _Decoded(Dataset[tuple[Tensor, int] | Undecodable]):
    """Turns what decoding raises into a value."""

    def __init__(self, images: ImageList) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int] | Undecodable:
        try:
            return self.images[index]
        except Exception as error:  # PIL raises OSError, SyntaxError, ValueError and errors of its own
            return Undecodable(self.images.where(index), first_line(error))


def _collate(items: Sequence[tuple[Tensor, int] | Undecodable]) -> Batch | Undecodable:
    decoded: list[tuple[Tensor, int]] = []
    for item in items:
        if isinstance(item, Undecodable):
            return item
        decoded.append(item)
    return _stack(decoded)


def _stack(items: Sequence[tuple[Tensor, int]]) -> Batch:
    return torch.stack([image for image, _ in items]), torch.tensor([label for _, label in items])


def _open_digits(config: Mapping[str, Any], split: str) -> DigitImages:
    from asim_fx.digits import CLASSES, MEAN, PIXEL_MAX, STD, data_config, load_digits

    if split not in ("train", "validation", "val", "test"):
        msg = f"the digits have no split {split!r}"
        raise DataError(msg, hint="use --split test or --split train")
    size, wanted = data_config()["input_size"], tuple(config["input_size"])
    if wanted != size:
        msg = f"the digits are images of {format_size(size)}; this model takes {format_size(wanted)}"
        raise DataError(msg, hint="use asim:digits_resnet or asim:digits_vit, or give --data a folder of images")
    digits = load_digits("train" if split == "train" else "test")
    images = (torch.from_numpy(digits.images).float()[:, None] / PIXEL_MAX - MEAN) / STD
    digest = hashlib.sha256(digits.images.tobytes() + digits.labels.tobytes()).hexdigest()
    return DigitImages(images, torch.from_numpy(digits.labels).long(), f"digits {digest}", CLASSES)


def _colours(config: Mapping[str, Any]) -> str:
    channels = config["input_size"][0]
    if channels in (1, 3):
        return "L" if channels == 1 else "RGB"
    msg = f"image files have 1 or 3 channels; this model takes {channels}"
    raise DataError(msg)


def _hash(identity: str, config: Mapping[str, Any], samples: int | None) -> str:
    prepared = json.dumps(dict(config), sort_keys=True, default=str)
    return hashlib.sha256(f"{identity}\n{prepared}\n{samples}".encode()).hexdigest()
