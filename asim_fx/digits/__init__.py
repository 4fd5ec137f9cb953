"""The built-in data: 1,797 hand-written digits of 8x8 pixels, with a fixed split. ORIGIN.md says whose."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Split = Literal["train", "test"]

CLASSES = 10
PIXEL_MAX = 16
"""Largest grey value of a pixel: the number of black dots in a 4x4 block of the scan."""
MEAN = 0.305
"""Mean of the training pixels divided by ``PIXEL_MAX``, rounded."""
STD = 0.376
"""Their standard deviation, rounded."""


@dataclass(frozen=True, slots=True)
class Digits:
    """Images and what they show.

    Attributes:
        images: uint8, (samples, 8, 8), 0..16.
        labels: uint8, (samples,), 0..9.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]


def load_digits(split: Split = "test") -> Digits:
    """Return one part of the shipped data: 1,437 images to train with, or 360 to test with.

    The split is stratified by class and fixed: ``benchmarks/pack_digits.py`` drew it once and stored it.
    """
    import numpy as np

    with as_file(files(__name__) / "digits.npz") as path, np.load(path, allow_pickle=False) as data:
        is_test = data["is_test"]
        chosen = is_test if split == "test" else ~is_test
        return Digits(images=data["images"][chosen], labels=data["labels"][chosen])


def data_config() -> dict[str, Any]:
    """Return how the images become model inputs, in the words of ``timm.data``."""
    return {
        "input_size": (1, 8, 8),
        "mean": (MEAN,),
        "std": (STD,),
        "interpolation": "bilinear",
        "crop_pct": 1.0,
        "crop_mode": "center",
    }
