"""Leave the caller's random generators alone."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def restored_generators(device: torch.device) -> Iterator[None]:
    """Put the global generators of Python, NumPy and torch back when the body ends; it may seed them as it likes.

    Args:
        device: whose generator is put back too, beside that of the CPU.
    """
    of_python, of_numpy = random.getstate(), np.random.get_state()
    cuda = [device.index or 0] if device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=cuda):
            yield
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)
