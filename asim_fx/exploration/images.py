"""Labelled images in memory, from which parts are selected without copying them. Imports torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from asim_fx.data import DataSource
from asim_fx.errors import DataError
from asim_fx.models.library import format_size

MOST_BYTES = 4 * 2**30
"""Pixels that are held in memory at most: 7,000 images of 3 x 224 x 224."""


@dataclass(frozen=True, slots=True)
class Images:
    """Labelled images in memory.

    Attributes:
        pixels: float32, (held, C, H, W). Other selections of the same images share this tensor.
        labels: int64, (samples,).
        batch_size: images of one pass.
        places: int64, (samples,): row of ``pixels`` of each sample; None where sample ``n`` is row ``n``.
    """

    pixels: Tensor
    labels: Tensor
    batch_size: int
    places: Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def batches(self) -> Iterator[Tensor]:
        """Yield float32 (batch, C, H, W), in the order of the labels."""
        if self.places is None:
            yield from torch.split(self.pixels, self.batch_size)
        else:
            for places in torch.split(self.places, self.batch_size):
                yield self.pixels[places]

    def select(self, which: Tensor) -> Images:
        """Return some of the samples, by position (int64) or by mask (bool); the pixels are shared."""
        places = torch.arange(len(self)) if self.places is None else self.places
        return Images(self.pixels, self.labels[which], self.batch_size, places[which])

    def spread(self, most: int) -> Images:
        """Return at most so many samples, evenly spread: a folder lies class by class."""
        return self if len(self) <= most else self.select(torch.linspace(0, len(self) - 1, most).long())


def read_images(data: DataSource) -> Images:
    """Read all images of a source into memory.

    Raises:
        DataError: an image cannot be decoded or has no label, there are no images, or they are more than
            ``MOST_BYTES``.
    """
    pixels: list[Tensor] = []
    labels: list[Tensor] = []
    held = 0
    for images, own in data:
        if not pixels:
            _refuse_too_many(data, images, data.samples or 0)
        held += len(images)
        _refuse_too_many(data, images, held)
        pixels.append(images)
        labels.append(own)
    if not pixels:
        message = f"{data.description}: there are no images"
        raise DataError(message)
    together = torch.cat(labels)
    if int(together.min()) < 0:
        message = f"{data.description}: some images have no label"
        raise DataError(message)
    return Images(_joined(pixels), together, data.batch_size)


def halves(images: Images) -> tuple[Images, Images]:
    """Return every second image, and the others; alternating within each class where a half would lack a class.

    Raises:
        DataError: there are not two images.
    """
    if len(images) < 2:
        message = "a plan needs at least two images: one to choose on and one to report on"
        raise DataError(message)
    labels = images.labels.tolist()
    parts = torch.arange(len(images)) % 2
    if set(labels[0::2]) != set(labels[1::2]) and len(set(labels)) < len(labels):
        seen: Counter[int] = Counter()
        for place, label in enumerate(labels):
            parts[place] = (seen[label] + label) % 2  # by its class, so that the odd images of all classes are shared
            seen[label] += 1
    return images.select(parts == 0), images.select(parts == 1)


def same_images(one: Images, other: Images) -> bool:
    """Return whether two selections hold the same images in the same order."""
    return len(one) == len(other) and all(
        torch.equal(mine, theirs) for mine, theirs in zip(one.batches(), other.batches(), strict=True)
    )


def _joined(parts: list[Tensor]) -> Tensor:
    """Return the parts as one tensor, and empty the list: no part is kept once it is copied."""
    joined = parts[0].new_empty((sum(map(len, parts)), *parts[0].shape[1:]))
    place = len(joined)
    while parts:
        last = parts.pop()
        joined[place - len(last) : place] = last
        place -= len(last)
    return joined


def _refuse_too_many(data: DataSource, batch: Tensor, samples: int) -> None:
    needed = samples * batch[0].numel() * batch.element_size()
    if needed > MOST_BYTES:
        size = format_size(tuple(batch.shape[1:]))
        message = (
            f"{data.description}: {samples:,} images of {size} take {needed / 2**30:.1f} GiB; "
            f"a plan keeps its images in memory, at most {MOST_BYTES / 2**30:.0f} GiB"
        )
        fitting = MOST_BYTES // (batch[0].numel() * batch.element_size())
        hint = f"--num-samples {min(2000, fitting)} takes fewer; a folder also needs --balanced, to keep its classes"
        raise DataError(message, hint=hint)
