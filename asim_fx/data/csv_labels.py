"""Images whose classes are listed in a CSV file, as the published ASiM simulator lays out CIFAR-100.

``test_images`` holds all images of the part ``test``, and ``test.csv`` beside it has the columns ``image_id`` (the name
of a file) and ``fine_labels`` (its class). The part ``train`` has the same.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from asim_fx.errors import DataError

_ID, _LABEL = "image_id", "fine_labels"
_FOLDER = "_images"
_SUFFIXES = (".jpg", ".jpeg", ".png")
_NAMES = ("train", "test")
_PARTS = {"train": "train", "training": "train"}
_SHOWN = 20
CLASSES = 100


def labelled_part(source: Path, split: str) -> tuple[Path, Path] | None:
    """Return the folder of images and the CSV file of a part, or None where the layout is another.

    Args:
        source: the folder with the parts, or that of one part's images.
        split: ``train``; everything else is ``test``.

    Raises:
        DataError: the layout is this one, and the folder or the CSV file of the part is missing.
    """
    if source.name.endswith(_FOLDER) and not _has_folders(source):
        return _both(source, source.with_name(f"{source.name.removesuffix(_FOLDER)}.csv"))
    parts = [(source / f"{name}{_FOLDER}", source / f"{name}.csv") for name in _NAMES]
    if not any(folder.is_dir() for folder, _ in parts):
        return None
    return _both(*parts[_NAMES.index(_PARTS.get(split, "test"))])


def _both(folder: Path, table: Path) -> tuple[Path, Path]:
    for path, exists in ((folder, folder.is_dir()), (table, table.is_file())):
        if not exists:
            msg = f"there is no {path}, which images with classes in a CSV file need"
            raise DataError(msg, hint=f"expected {folder.name} with images and {table.name} with their classes")
    return folder, table


def _has_folders(folder: Path) -> bool:
    """Return whether a folder is missing, or holds others: one for each class, perhaps."""
    return not folder.is_dir() or any(entry.is_dir() for entry in folder.iterdir())


def read_labels(folder: Path, table: Path) -> tuple[tuple[Path, ...], tuple[int, ...]]:
    """Return the images of a folder in the order of their names, and the class of each.

    A row without an image is passed over, so that a part of the images can be read; an image without a row is not.

    Raises:
        DataError: a row cannot be read, with its line, or an image has none.
    """
    labels: dict[str, int] = {}
    for line, name, label in _rows(table):
        if labels.setdefault(name, label) != label:
            msg = f"{table}:{line}: {name} has class {label} here, and {labels[name]} further up"
            raise DataError(msg)
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in _SUFFIXES)
    if not files:
        msg = f"{folder} holds no images"
        raise DataError(msg, hint=f"expected files with {', '.join(_SUFFIXES)}")
    unlabelled = [file.name for file in files if file.name not in labels]
    if unlabelled:
        msg = f"{len(unlabelled)} images of {folder} have no row in {table}: {', '.join(unlabelled[:3])}"
        raise DataError(msg)
    return tuple(files), tuple(labels[file.name] for file in files)


def _rows(table: Path) -> Iterator[tuple[int, str, int]]:
    """Yield line, name and class of each row."""
    try:
        with table.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            missing = [column for column in (_ID, _LABEL) if column not in (reader.fieldnames or ())]
            if missing:
                msg = f"{table}:1: there is no column {' and no '.join(missing)}"
                raise DataError(msg, hint=f"expected the columns {_ID} and {_LABEL}")
            for row in reader:
                yield reader.line_num, *_parsed(row, f"{table}:{reader.line_num}")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        msg = f"cannot read {table}: {error}"
        raise DataError(msg) from error


def _parsed(row: dict[str, str | None], where: str) -> tuple[str, int]:
    name, text = row[_ID] or "", row[_LABEL] or ""
    if not name.strip():
        msg = f"{where}: {_ID} is empty"
        raise DataError(msg)
    digits = text.strip().lstrip("0") or text.strip()[-1:]
    if not text.strip().isdecimal() or len(digits) > len(str(CLASSES)) or int(digits) >= CLASSES:
        shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
        msg = f"{where}: {_LABEL} is {shown!r}, and must be a whole number from 0 to {CLASSES - 1}"
        raise DataError(msg)
    return name.strip(), int(digits)
