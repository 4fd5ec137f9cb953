"""The device that a command computes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asim_fx.errors import UsageError

if TYPE_CHECKING:
    import torch


def resolve_device(name: str, local_rank: int = 0) -> torch.device:
    """Return the device called ``name``: ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.

    Args:
        name: as torch writes it; ``cuda`` alone is the GPU of the process.
        local_rank: number of this process among those on this machine.

    Raises:
        UsageError: there is no such device here.
    """
    import torch

    try:
        device = torch.device(name)
    except RuntimeError as error:
        msg = f"unknown device {name!r}"
        raise UsageError(msg, hint="use cpu, cuda, cuda:1 or mps") from error
    if device.type == "cpu":
        return device
    if device.type == "cuda":
        if device.index is None and local_rank:
            device = torch.device("cuda", local_rank)
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) < count:
            return device
        found = f"torch {torch.__version__} sees {count} CUDA devices here"
    elif device.type == "mps":
        if torch.backends.mps.is_available():
            return device
        found = f"torch {torch.__version__} has no MPS here"
    else:
        found = "only cpu, cuda and mps are known"
    msg = f"device {name!r} is not available: {found}"
    raise UsageError(msg, hint="use --device cpu")
