"""Data sets that can be opened: the digits, folders of images, and whatever timm knows by name.

Each is an ``ImageList`` of prepared images in a fixed order, or an ``ImageStream`` of them.
"""

from __future__ import annotations

import contextlib
import hashlib
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, cast

from torch import Tensor

from asim_fx.data.csv_labels import CLASSES as CSV_CLASSES
from asim_fx.data.csv_labels import labelled_part, read_labels
from asim_fx.errors import DataError
from asim_fx.models.library import first_line, import_library

Transform = Callable[[Any], Tensor]

TIMM_LISTS = ("torch", "hfds")
TIMM_STREAMS = ("hfids", "tfds", "wds")
_SPLIT_FOLDERS = {
    "train": ("train", "training"),
    "test": ("test",),
    "validation": ("validation", "val", "valid", "eval", "test"),
}


class ImageList(Protocol):
    """Prepared images by position."""

    @property
    def identity(self) -> str:
        """What tells this data from other data, for a hash."""

    @property
    def classes(self) -> int | None:
        """Number of classes, where it is known."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return an image, float32 (C, H, W), and its class. May raise whatever decoding raises."""

    def where(self, index: int) -> str:
        """Return the file or the position, for messages."""


@dataclass(frozen=True)
class FolderImages:
    """Images of a folder with one sub-folder for each class, in natural order of their names, or with a CSV file.

    ``names`` are those of the sub-folders, by class; there are none with a CSV file.
    """

    root: Path
    files: tuple[Path, ...]
    labels: tuple[int, ...]
    classes: int
    transform: Transform
    mode: str
    note: str = ""
    names: tuple[str, ...] = ()

    @property
    def identity(self) -> str:
        """A hash of every file's name below the root, size and class."""
        digest = hashlib.sha256()
        for file, label in zip(self.files, self.labels, strict=True):
            digest.update(f"{file.relative_to(self.root)} {file.stat().st_size} {label}\n".encode())
        return f"folder {digest.hexdigest()}"

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return an image and its class."""
        from PIL import Image

        with Image.open(self.files[index]) as image:
            return self.transform(image.convert(self.mode)), self.labels[index]

    def where(self, index: int) -> str:
        """Return the file."""
        return str(self.files[index])

    def remarked(self, samples: int | None) -> FolderImages:
        """Return these images, with a note where the first so many are all of one class."""
        if samples is None or samples >= len(self) or self.classes == 1 or len(set(self.labels[:samples])) > 1:
            return self
        return replace(self, note="all of one class")

    def in_turn(self, samples: int | None) -> FolderImages:
        """Return so many of the images: the first of each class, then the second of each class, and so on.

        Files come sorted by class, so that their first thousands may all be of one.
        """
        if samples is None or samples >= len(self):
            return self
        seen = Counter[int]()
        turns = []
        for label in self.labels:
            turns.append(seen[label])
            seen[label] += 1
        chosen = sorted(range(len(self)), key=turns.__getitem__)[:samples]
        return replace(
            self,
            files=tuple(self.files[index] for index in chosen),
            labels=tuple(self.labels[index] for index in chosen),
            note="in turn from each class",
        )


@dataclass(frozen=True)
class NamedImages:
    """Images of a data set that timm opens by name and that can be read in any order."""

    name: str
    dataset: Any
    split: str
    transform: Transform
    mode: str

    @property
    def identity(self) -> str:
        """Name, split and length."""
        return f"{self.name} {self.split} {len(self)}"

    @property
    def classes(self) -> int | None:
        """Number of classes, where the data set says it."""
        return len(self.names) or None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes, in their order, where the data set says them."""
        listed = getattr(self.dataset, "classes", None)
        if listed:
            return tuple(map(str, listed))
        numbered = getattr(self._reader, "class_to_idx", None) or {}
        return tuple(map(str, sorted(numbered, key=numbered.__getitem__)))

    @property
    def _reader(self) -> Any:
        return getattr(self.dataset, "reader", None)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return an image and its class."""
        from PIL import Image

        # timm's own ImageDataset replaces an image that cannot be decoded by the next one, so its reader is asked.
        image, label = (self._reader or self.dataset)[index][:2]
        if not isinstance(image, Image.Image):
            image = Image.open(image)
        return self.transform(image.convert(self.mode)), int(label)

    def where(self, index: int) -> str:
        """Return the position."""
        return f"image {index} of {self.name}"


@dataclass(frozen=True)
class ImageStream:
    """Images of a data set that can only be read from its start."""

    name: str
    dataset: Any
    split: str

    @property
    def identity(self) -> str:
        """Name and split."""
        return f"{self.name} {self.split}"

    def __iter__(self) -> Iterator[tuple[Tensor, int]]:
        for image, label in self.dataset:
            yield image, int(label)


def open_folder(source: str, split: str, transform: Transform, mode: str) -> FolderImages:
    """Open a folder of images.

    Args:
        source: the folder; where it has a sub-folder for the split, that one is read. ``asim_fx.data.csv_labels`` says
            how classes may stand in a CSV file instead.
        split: ``validation``, ``test``, ``train``, or the name of a sub-folder.
        transform: makes a tensor of a PIL image.
        mode: PIL's name of the colours, ``RGB`` or ``L``.

    Raises:
        DataError: there is no such folder, no images in class folders in it, or a class in a CSV file cannot be read.
    """
    by_csv = labelled_part(Path(source), split)
    if by_csv is not None:
        return FolderImages(by_csv[0], *read_labels(*by_csv), CSV_CLASSES, transform, mode)
    root = _split_folder(Path(source), split)
    import_library("timm")
    from timm.data.readers.reader_image_folder import find_images_and_targets

    try:
        found, class_to_idx = find_images_and_targets(str(root))
    except OSError as error:
        msg = f"cannot read {root}: {error.strerror or error}"
        raise DataError(msg) from error
    if not found:
        msg = f"{root} holds no images"
        raise DataError(msg, hint="expected one sub-folder for each class, with .png, .jpg or .jpeg files")
    files = tuple(Path(file) for file, _ in found)
    loose = next((file for file in files if file.parent == root), None)
    if loose is not None:
        msg = f"{root} has no class folders: {loose.name} lies outside of any"
        raise DataError(msg, hint="expected one sub-folder for each class, for example cat/1.png and dog/2.png")
    labels, names = tuple(label for _, label in found), tuple(sorted(class_to_idx, key=class_to_idx.__getitem__))
    return FolderImages(root, files, labels, len(names), transform, mode, names=names)


def open_by_name(
    source: str, data_dir: Path | None, split: str, transform: Transform, mode: str
) -> NamedImages | ImageStream:
    """Open a data set of ``timm.data.create_dataset``, downloading it where it is missing and can be had.

    Args:
        source: ``torch/cifar10``, ``hfds/NAME``, ``wds/PATTERN`` ...
        data_dir: where the data lies, or goes.
        split: as the data set calls it.
        transform: makes a tensor of a PIL image.
        mode: PIL's name of the colours.

    Raises:
        DataError: there is no such data set, a package for it is missing, or it cannot be downloaded.
    """
    import_library("timm")
    from timm.data import create_dataset

    scheme = source.partition("/")[0]
    if scheme == "torch" and data_dir is None:
        msg = f"{source} needs --data-dir: where the data lies, or where to put it"
        raise DataError(msg)
    streams = scheme in TIMM_STREAMS
    root = str(data_dir) if data_dir is not None else None

    def create(*, download: bool) -> Any:
        # Data sets print what they do; stdout is for results.
        with contextlib.redirect_stdout(sys.stderr):
            extra = {"transform": None} if scheme == "torch" else {"input_img_mode": mode}
            return create_dataset(source, root=root, split=split, download=download, **extra)

    try:
        try:
            dataset = create(download=False)
        except RuntimeError:  # torchvision's word for files that are not there yet
            dataset = create(download=True)
    except ImportError as error:
        msg = f"{source} needs a package that is not installed: {first_line(error)}"
        raise DataError(msg) from error
    except Exception as error:  # each library has errors of its own
        msg = f"cannot open {source} (split {split!r}): {type(error).__name__}: {first_line(error)}"
        hint = "check the name, --split and --data-dir; without a network, put the data there yourself"
        raise DataError(msg, hint=hint) from error
    if streams:
        dataset.transform = transform
        return ImageStream(source, dataset, split)
    return NamedImages(source, dataset, split, transform, mode)


def image_transform(config: dict[str, Any]) -> Transform:
    """Return timm's evaluation transform for a data configuration: PIL image to float32 (C, H, W)."""
    import_library("timm")
    from timm.data import create_transform

    known = ("input_size", "interpolation", "mean", "std", "crop_pct", "crop_mode")
    arguments = {
        key: tuple(value) if isinstance(value, list) else value for key, value in config.items() if key in known
    }
    return cast(Transform, create_transform(**arguments, is_training=False, use_prefetcher=False))


def _split_folder(root: Path, split: str) -> Path:
    if not root.is_dir():
        msg = f"there is no data folder {root}"
        hint = "--data takes a folder, `digits`, or a data set of timm such as torch/cifar10 with --data-dir"
        raise DataError(msg, hint=hint)
    for name in (split, *_SPLIT_FOLDERS.get(split, ())):
        if (root / name).is_dir():
            return root / name
    other = next((name for name in _SPLIT_FOLDERS["train"] if (root / name).is_dir()), None)
    if other is not None:
        msg = f"{root} has a folder {other!r}, but none for the split {split!r}"
        raise DataError(msg, hint=f"give --split {other}, or the folder with the classes itself")
    return root
