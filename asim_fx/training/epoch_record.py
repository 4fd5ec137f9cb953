"""What is told about a finished epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Fidelity = Literal["float", "integer", "hardware"]
FIDELITY_WORDS: Mapping[Fidelity, str] = {
    "float": "the float model",
    "integer": "ideal integers",
    "hardware": "the simulated hardware",
}
"""What computed an accuracy, for people."""


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """The numbers of one epoch: a line of ``history.jsonl``. Epoch 0 is the evaluation before the first update.

    Attributes:
        epoch: number of the epoch, from 1; 0 is the start.
        step: updates that were done at its end.
        lr: learning rate of its last update; None at the start.
        train_loss: mean of what its updates minimised, with smoothing, mixing and penalties; None at the start.
        train_cross_entropy: mean cross-entropy of the training images as they were met, before each update; None where
            images are mixed, and at the start.
        train_top1: share of the training images that were right as they were met, in percent; None as above.
        loss: mean cross-entropy of the validation images; None where they were not evaluated.
        top1: their top-1 accuracy in percent; None where they were not evaluated.
        fidelity: what computed the validation images: the ``float`` model, ideal ``integer`` or the simulated
            ``hardware``.
        seconds: that it took, evaluation included; after an interruption, those of the rest of it.
    """

    epoch: int
    step: int
    lr: float | None
    train_loss: float | None
    train_cross_entropy: float | None
    train_top1: float | None
    loss: float | None
    top1: float | None
    fidelity: Fidelity
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> EpochRecord:
        """Return the record of what ``to_json`` gave.

        Raises:
            TypeError: these are not its fields.
        """
        return cls(**data)

    def curves(self) -> dict[str, float]:
        """Return what is drawn over the updates: the numbers that were measured, by name."""
        names = ("lr", "train_loss", "train_cross_entropy", "train_top1", "loss", "top1")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}
