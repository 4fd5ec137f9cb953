"""How far the CPU engine is from what one core can do at all: `python -m benchmarks.limits`.

Measures, each by itself, in the first-level cache, on one thread: binary multiply-accumulates (of two words, then count
the ones), random halves of words (Philox, as the engine draws), and look-ups in a table. A conversion needs all three,
so their sum is the least time of a conversion. Prints it beside what the engine takes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from asim_fx.ops.draws import READS_PER_BLOCK
from asim_fx.ops.engines.cpu.compiled import compiled, ones_in
from asim_fx.ops.engines.cpu.words import philox_block
from benchmarks.growth import Work, measure
from benchmarks.machine import machine

LANES = 1024
WORD_BITS = 32
TURNS = 4000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    count, draw, look_up = (least_ns(work, options.repeats) for work in (counting, drawing, looking_up))
    per_mac, per_half, per_read = count / WORD_BITS, draw / READS_PER_BLOCK, look_up
    print(f"{machine()}; one thread\n")
    print("| alone, in the first-level cache | a second |")
    print("|---|---|")
    print(f"| binary multiply-accumulates | {1e9 / per_mac:.3g} |")
    print(f"| random halves of words | {1e9 / per_half:.3g} |")
    print(f"| look-ups in a table of 16 kB | {1e9 / per_read:.3g} |\n")
    print("| linear 200x768x768, W8A8 | least, ns a conversion | here, ns | of the limit |")
    print("|---|---|---|---|")
    works = {
        "7-bit ADC, 256 rows": (Work(), per_mac * 256),
        "both noises, 8-bit ADC, 255 rows": (
            Work(adc_bits=8, rows=255, percent=0.05),
            # A last tile of 3 rows is read like the others: the average tile has 192.
            per_mac * 192 + per_half + per_read,
        ),
    }
    for name, (work, least) in works.items():
        seconds, conversions = measure(work, options.repeats)
        here = seconds / conversions * 1e9
        print(f"| {name} | {least:.2f} | {here:.2f} | {least / here:.0%} |")


def least_ns(kernel: Callable[[], int], repeats: int) -> float:
    """Return the least nanoseconds of one item of a kernel, which returns how many it did."""
    kernel()  # Compiles.
    found = []
    for _ in range(repeats):
        start = time.process_time()
        items = kernel()
        found.append((time.process_time() - start) / items * 1e9)
    return min(found)


def counting() -> int:
    """Return the words that were counted."""
    generator = np.random.default_rng(0)
    words = generator.integers(0, 2**32, (8, LANES), np.uint32)
    return _count(words, np.zeros(LANES, np.uint32), TURNS)


def drawing() -> int:
    """Return the blocks that were drawn."""
    element = np.arange(LANES, dtype=np.uint32)
    return _draw(element, np.zeros((4, LANES), np.uint32), TURNS)


def looking_up() -> int:
    """Return the look-ups."""
    generator = np.random.default_rng(0)
    index = generator.integers(0, 4096, LANES, np.uint32)
    return _look_up(np.arange(4096, dtype=np.uint32), index, np.zeros(LANES, np.uint32), TURNS)


@compiled
def _count(words: NDArray[np.uint32], sums: NDArray[np.uint32], turns: int) -> int:
    for turn in range(turns):
        other = np.uint32(turn * 2654435761)
        for n in range(LANES):
            low = (
                ones_in(other & words[0, n])
                + ones_in(other & words[1, n])
                + ones_in(other & words[2, n])
                + ones_in(other & words[3, n])
            )
            top = (
                ones_in(other & words[4, n])
                + ones_in(other & words[5, n])
                + ones_in(other & words[6, n])
                + ones_in(other & words[7, n])
            )
            sums[n] += np.uint32(low + top)
    return turns * LANES * 8


@compiled
def _draw(element: NDArray[np.uint32], words: NDArray[np.uint32], turns: int) -> int:
    for turn in range(turns):
        philox_block(element, element, element, np.uint32(turn), np.uint32(1), np.uint32(2), words)
    return turns * LANES


@compiled
def _look_up(table: NDArray[np.uint32], index: NDArray[np.uint32], sums: NDArray[np.uint32], turns: int) -> int:
    for turn in range(turns):
        flip = np.uint32(turn & 4095)
        for n in range(LANES):
            sums[n] += table[index[n] ^ flip]
    return turns * LANES


if __name__ == "__main__":
    main()
