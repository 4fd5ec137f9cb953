"""Losses and accuracies for TensorBoard, where it is installed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LOGS = "tensorboard"
"""Folder of a run's logs, in its own."""


@dataclass(frozen=True, slots=True)
class Log:
    """Where numbers of a run go; nowhere without a writer.

    Attributes:
        writer: TensorBoard's, or None.
    """

    writer: Any = None

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        """Log numbers by name after so many updates."""
        if self.writer is not None:
            for name, value in values.items():
                self.writer.add_scalar(name, value, step)

    def flush(self) -> None:
        """Write down what was logged."""
        if self.writer is not None:
            self.writer.flush()


@contextmanager
def open_log(folder: Path, step: int, *, shown: bool) -> Iterator[Log]:
    """Give a log that writes to ``tensorboard/`` in a folder while the body runs.

    Args:
        folder: of the run.
        step: updates that were done; what an interrupted run logged after them is hidden.
        shown: whether this process logs at all.
    """
    writer = _writer(folder, step) if shown else None
    try:
        yield Log(writer)
    finally:
        if writer is not None:
            writer.close()


def has_tensorboard() -> bool:
    """Return whether TensorBoard's writer is there."""
    try:
        import tensorboard  # noqa: F401
    except ImportError:
        return False
    return True


def _writer(folder: Path, step: int) -> Any:
    if not has_tensorboard():
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder / LOGS), purge_step=step + 1)
