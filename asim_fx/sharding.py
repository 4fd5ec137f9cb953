"""One simulation by several processes: whole batches go to processes, and each learns what the others found."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from asim_fx.errors import RunInterruptedError

Value = TypeVar("Value")

_PATIENCE = timedelta(days=30)
"""How long a process waits for the slowest batch of another; where one dies, the launcher ends the rest at once."""


@dataclass(frozen=True, slots=True)
class Shard:
    """The share of one process.

    Attributes:
        rank: number of this process.
        count: number of processes.
        local_rank: number of this process among those on this machine.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0

    @property
    def leads(self) -> bool:
        """Whether this process writes and prints for all."""
        return self.rank == 0

    def gather(self, value: Value) -> list[Value]:
        """Return the values of all processes, by rank, once all have called this.

        Raises:
            RunInterruptedError: another process ended before.
        """
        if self.count == 1:
            return [value]
        import torch.distributed as dist

        values: list[Value | None] = [None] * self.count
        with losing_peers():
            dist.all_gather_object(values, value)
        return values  # type: ignore[return-value]


ALONE = Shard()
"""The share of a process that does everything."""


def shard_of_environment() -> Shard:
    """Return the share that ``torchrun`` gave this process; all of the work where nothing launched it."""
    given = (os.environ.get(name) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    return Shard(*(int(value or default) for value, default in zip(given, (0, 1, 0), strict=True)))


@contextmanager
def losing_peers() -> Iterator[None]:
    """Say it in words when another process ends while the body exchanges values with it.

    Raises:
        RunInterruptedError: it did; why is for that process to say.
    """
    try:
        yield
    except RuntimeError as error:  # what gloo and NCCL raise
        message = "another process of this run ended early; if it said nothing, it was killed"
        hint = "finished results and the last checkpoint are kept; start all processes again"
        raise RunInterruptedError(message, hint=hint) from error


@contextmanager
def joined(shard: Shard) -> Iterator[Shard]:
    """Connect the processes that ``torchrun`` launched, on one machine or several, while the body runs."""
    if shard.count == 1:
        yield shard
        return
    import torch.distributed as dist

    # Only counts travel, so gloo does for every device.
    dist.init_process_group("gloo", timeout=_PATIENCE)
    try:
        yield shard
    finally:
        dist.destroy_process_group()
