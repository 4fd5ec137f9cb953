"""What is told about a finished epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """The numbers of one epoch: a line of ``history.jsonl``.

    Attributes:
        epoch: number of the epoch, from 1.
        step: updates that were done at its end.
        lr: learning rate of its last update.
        train_loss: mean loss of its updates.
        loss: mean cross-entropy of the validation images; None where they were not evaluated.
        top1: their top-1 accuracy in percent; None where they were not evaluated.
        seconds: that it took, evaluation included; after an interruption, those of the rest of it.
    """

    epoch: int
    step: int
    lr: float
    train_loss: float
    loss: float | None
    top1: float | None
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
        named = {"lr": self.lr, "train_loss": self.train_loss, "loss": self.loss, "top1": self.top1}
        return {name: value for name, value in named.items() if value is not None}
