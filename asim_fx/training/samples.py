"""Images to train on, in any order; what is drawn for an image depends only on its position and the epoch."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from asim_fx.data import DataSource
from asim_fx.data.datasets import FolderImages, ImageList, ImageStream, NamedImages, Transform
from asim_fx.data.source import DIGITS
from asim_fx.errors import DataError, UsageError
from asim_fx.models.library import first_line
from asim_fx.training.order import draw_seed
from asim_fx.training.recipe import TrainingRecipe, changed_augmentation


@dataclass(frozen=True, slots=True)
class ChosenImages:
    """Some images of a list, in another order."""

    images: ImageList
    positions: Sequence[int]

    @property
    def identity(self) -> str:
        """That of the list, and which are chosen."""
        return f"{self.images.identity} chosen {draw_seed(*self.positions)}"

    @property
    def classes(self) -> int | None:
        """Number of classes of the whole list."""
        return self.images.classes

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return an image and its class."""
        return self.images[self.positions[index]]

    def where(self, index: int) -> str:
        """Return the place of an image in the whole list."""
        return self.images.where(self.positions[index])


def training_transform(source: str, config: Mapping[str, Any], recipe: TrainingRecipe) -> Transform | None:
    """Return timm's training transform; None where images are prepared as for evaluation.

    Raises:
        UsageError: no such policy, or augmentation of the digits, which are no image files.
    """
    if source == DIGITS:
        changed = changed_augmentation(recipe)
        if changed:
            options = ", ".join(f"--{name.replace('_', '-')}" for name in changed)
            message = f"{options} {'changes' if len(changed) == 1 else 'change'} image files; the digits are not"
            raise UsageError(message, hint="--mixup and --cutmix work on any data")
        return None
    if not recipe.augment:
        return None
    from timm.data import create_transform

    known = ("input_size", "interpolation", "mean", "std")
    given = {key: tuple(held) if isinstance(held, list) else held for key, held in config.items() if key in known}
    try:
        transform = create_transform(
            **given,
            is_training=True,
            auto_augment=recipe.aa or None,
            hflip=recipe.hflip,
            re_prob=recipe.reprob,
            scale=(recipe.crop_min, 1.0),
            color_jitter=recipe.color_jitter if given["input_size"][0] == 3 else 0.0,
        )
    except (AssertionError, KeyError, ValueError) as error:
        message = f"--aa {recipe.aa}: timm has no such policy: {first_line(error)}"
        raise UsageError(message, hint="for example rand-m9-mstd0.5-inc1, augmix-m3-w3 or original") from error
    return cast(Transform, transform)


def listed(data: DataSource) -> ImageList:
    """Return the images of a source by position.

    Raises:
        DataError: it is a stream, or all of its images are of one class.
    """
    images = data.images
    if isinstance(images, ImageStream):
        message = f"{data.description}: a stream is read in order, and training shuffles"
        raise DataError(message, hint="use a folder, torch/NAME or hfds/NAME")
    if data.samples is not None and data.samples < len(images):
        images = ChosenImages(images, range(data.samples))
    labels = known_labels(images)
    if images.classes == 1 or (labels is not None and len(set(labels)) == 1):
        message = f"{data.description}: all images are of one class, so there is nothing to learn"
        raise DataError(message, hint="give --data a folder with a sub-folder for each class")
    return images


def hold_out(data: DataSource, evaluated: DataSource, share: float, seed: int) -> tuple[ImageList, DataSource]:
    """Return the images to train on and a source of those held out.

    Args:
        data: prepared for training.
        evaluated: the same images, prepared for evaluation.
        share: of the images that is held out.
        seed: of the choice.
    """
    images, plain = listed(data), listed(evaluated)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(draw_seed(seed, 2))).tolist()
    count = round(share * len(images))
    if not 0 < count < len(images):
        message = f"--val {share:g} of {len(images)} images holds out {count} of them"
        raise DataError(message, hint="give a share that leaves images on both sides")
    kept, out = sorted(order[count:]), sorted(order[:count])
    chosen = ChosenImages(plain, out)
    words = f"{count} images held out of {evaluated.description}"
    identity = f"{evaluated.identity} {chosen.identity}"  # the source's own says how images are prepared
    held = replace(evaluated, description=words, identity=identity, samples=count, images=chosen)
    return ChosenImages(images, kept), held


def refuse_same_images(images: DataSource, validation: DataSource) -> None:
    """Refuse to evaluate on what is trained on.

    Raises:
        DataError: both sources are the same images.
    """
    one, other = images.images, validation.images
    same_folder = isinstance(one, FolderImages) and isinstance(other, FolderImages) and one.root == other.root
    if same_folder or images.identity == validation.identity:
        message = f"{validation.description}: these are the images to train on, so they cannot show what was learned"
        raise DataError(message, hint="--val 0.1 holds out a tenth of them; or give --val or --val-split other images")


def load_batches(
    images: ImageList, wanted: Sequence[Sequence[int]], seed: int, epoch: int, workers: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield images, float32 (n, C, H, W), and classes, int64 (n,), of each list of positions.

    Raises:
        DataError: an image cannot be decoded.
        UsageError: an image cannot be augmented.
    """
    seeded = _Seeded(images, seed, epoch)
    loader = DataLoader(seeded, batch_sampler=[list(batch) for batch in wanted], num_workers=workers, collate_fn=list)
    for items in loader:
        failed = next((item for item in items if isinstance(item, _Failure)), None)
        if failed is not None and failed.decoding:
            raise DataError(failed.words, hint="repair the file or remove it; no image is skipped silently")
        if failed is not None:
            raise UsageError(failed.words, hint="choose another --aa, or train with --no-augment")
        yield torch.stack([image for image, _ in items]), torch.tensor([label for _, label in items])


@dataclass(frozen=True, slots=True)
class _Failure:
    """Takes the place of an image on its way out of a worker process, where an exception would lose its type.

    Attributes:
        words: what happened.
        decoding: whether the image cannot be decoded; otherwise its transform failed.
    """

    words: str
    decoding: bool


class _Seeded(Dataset[tuple[Tensor, int] | _Failure]):
    """Seeds what transforms draw from, and turns what an image raises into words."""

    def __init__(self, images: ImageList, seed: int, epoch: int) -> None:
        self.images = images
        self.seed = seed
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int] | _Failure:
        seed = draw_seed(self.seed, self.epoch, index, 3)
        random.seed(seed)
        np.random.seed(seed % 2**32)
        torch.manual_seed(seed)
        try:
            return self.images[index]
        except Exception as error:  # PIL raises OSError, SyntaxError, ValueError and errors of its own
            return _failure(self.images, index, error)


def _failure(images: ImageList, index: int, error: Exception) -> _Failure:
    """Find out what failed by decoding the image without its transform."""
    where = images.where(index)
    try:
        _untransformed(images)[index]
    except Exception as decoding:  # as above
        return _Failure(f"{where} cannot be decoded: {first_line(decoding)}", decoding=True)
    return _Failure(f"{where} cannot be augmented: {type(error).__name__}: {first_line(error)}", decoding=False)


def _untransformed(images: ImageList) -> ImageList:
    """Return the same images as they are decoded, where a transform changes them."""
    if isinstance(images, ChosenImages):
        return replace(images, images=_untransformed(images.images))
    if isinstance(images, (FolderImages, NamedImages)):
        return replace(images, transform=_as_it_is)
    return images


def _as_it_is(image: Any) -> Any:
    return image


def known_labels(images: ImageList) -> list[int] | None:
    """Return the classes, where they are known without decoding."""
    if isinstance(images, ChosenImages):
        labels = known_labels(images.images)
        return None if labels is None else [labels[position] for position in images.positions]
    held = getattr(images, "labels", None)
    return None if held is None else [int(label) for label in held]


def class_names(images: Any) -> tuple[str, ...]:
    """Return the names of the classes, in their order; empty where they are not known."""
    if isinstance(images, ChosenImages):
        return class_names(images.images)
    return tuple(getattr(images, "names", ()))


def refuse_unknown_classes(images: Any, description: str, outputs: int) -> None:
    """Refuse images with a class that the model has no output for, where classes are known without decoding.

    Raises:
        DataError: there is such an image.
    """
    labels = known_labels(images)
    most = max(labels) + 1 if labels else getattr(images, "classes", None)
    if most is not None and most > outputs:
        message = f"{description}: there are {most} classes; the model tells {outputs} apart"
        raise DataError(message, hint=f"give --num-classes {most}")
