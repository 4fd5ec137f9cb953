"""Share work among threads, each of which runs torch's operations serially.

The plain engine is thousands of short operations. Were each split among threads, these would spend their time waiting
for one another, on a machine with other work many times as long as the work takes; whole blocks wait for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar("Item")


def threads_for(device: torch.device) -> int:
    """Return how many threads share work on a device: as many as torch may use on the CPU, one elsewhere."""
    return torch.get_num_threads() if device.type == "cpu" else 1


def for_each(work: Callable[[Item], None], items: Sequence[Item], device: torch.device) -> None:
    """Call ``work`` with every item, in any order, on ``threads_for(device)`` threads.

    Raises:
        Exception: the first that ``work`` raised, once all have ended.
    """
    threads = threads_for(device)
    if threads == 1:
        for item in items:
            work(item)
        return
    inference = torch.is_inference_mode_enabled()

    def serially(item: Item) -> None:
        with torch.inference_mode(inference), torch.no_grad():
            work(item)

    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            for _ in pool.map(serially, items):
                pass
    finally:
        # The setting of a thread also becomes that of threads which torch starts later.
        torch.set_num_threads(threads)
