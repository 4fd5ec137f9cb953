"""The Fabric of a process: its device, its precision and its connection to the other processes."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from lightning_fabric import Fabric

from asim_fx.sharding import Shard
from asim_fx.training.recipe import Precision


def connect(device: torch.device, precision: Precision, shard: Shard) -> Fabric:
    """Return the Fabric of this process, connected to the others where torchrun launched several.

    Raises:
        ValueError: the device cannot compute in this precision.
    """
    if precision == "16-mixed" and device.type == "cpu":
        message = "a CPU does not train in float16"
        raise ValueError(message)
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    cuda = device.type == "cuda"
    with _quiet():
        fabric = Fabric(
            accelerator="cuda" if cuda else device.type,
            devices=[device.index or 0] if cuda and shard.count == 1 else (1 if shard.count == 1 else local),
            num_nodes=1 if shard.count == 1 else shard.count // local,
            strategy="auto" if shard.count == 1 else "ddp",
            precision=precision,
        )
        fabric.launch()
    return fabric


def disconnect(shard: Shard) -> None:
    """Leave the other processes, at the end of a run that all of them finished.

    The threads of a connection that is still there when an interpreter ends can abort the process.
    """
    if shard.count > 1 and dist.is_initialized():
        dist.destroy_process_group()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Fabric's own words out of the user's terminal while the body runs."""
    logger = logging.getLogger("lightning_fabric")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning_fabric")
            yield
    finally:
        logger.setLevel(level)
