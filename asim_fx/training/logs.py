"""Losses and accuracies for TensorBoard, where it is installed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Log = Callable[[Mapping[str, Any], int], None]
"""Called with numbers by name and the updates that were done; None where something was not measured."""


@contextmanager
def open_log(folder: Path, step: int, *, shown: bool) -> Iterator[Log]:
    """Give a function that logs numbers to ``tensorboard/`` in a folder while the body runs.

    Args:
        folder: of the run.
        step: updates that were done; what an interrupted run logged beyond is taken back.
        shown: whether this process logs at all.
    """
    writer = _writer(folder, step) if shown else None

    def log(values: Mapping[str, Any], step: int) -> None:
        if writer is not None:
            for name, value in values.items():
                if value is not None:
                    writer.add_scalar(name, value, step)

    try:
        yield log
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

    return SummaryWriter(str(folder / "tensorboard"), purge_step=step or None)
