"""How far the CPU engine is from what one core can do at all: `python -m benchmarks.limits`.

Measures, each by itself, on data in the first-level cache and on one thread: binary multiply-accumulates (of two words,
then count the ones) and random halves of words, as the engine makes them. A conversion needs the first, and with noise
both, so that they are its least time. Prints that beside what the engine takes for a layer.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch

from asim_fx.ops.draws import READS_PER_BLOCK
from asim_fx.ops.engines.cpu.compiled import compiled
from asim_fx.ops.engines.cpu.counting import count
from asim_fx.ops.engines.cpu.lanes import LANES, U32, lane_rows
from asim_fx.ops.engines.cpu.words import philox_lanes
from benchmarks.growth import Work, measure
from benchmarks.machine import machine

WORD_BITS = 32
WORDS = 8
TURNS = 20_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    per_mac = least_ns(counting, options.repeats)
    per_half = least_ns(drawing, options.repeats)
    print(f"{machine()}; one thread\n")
    print("| alone, in the first-level cache | a second |")
    print("|---|---|")
    print(f"| binary multiply-accumulates | {1e9 / per_mac:.3g} |")
    print(f"| random halves of words | {1e9 / per_half:.3g} |\n")
    print("| linear 200x768x768, W8A8 | least, ns a conversion | here, ns | of the limit |")
    print("|---|---|---|---|")
    works = {
        "7-bit ADC, 256 rows": (Work(), per_mac * 256),
        # 768 rows in tiles of 255 are four tiles, the last of 3 rows, which take a word: 25 words in four reads.
        "both noises, 8-bit ADC, 255 rows": (
            Work(adc_bits=8, rows=255, percent=0.05),
            per_mac * WORD_BITS * 25 / 4 + per_half,
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
    """Return the binary multiply-accumulates that were made."""
    lanes = lane_rows(WORDS)
    lanes[:] = np.random.default_rng(0).integers(0, 2**32, lanes.shape, np.uint32)
    _count(lanes, lane_rows(1), np.arange(WORDS, dtype=np.uint32), TURNS)
    return TURNS * LANES * WORDS * WORD_BITS


def drawing() -> int:
    """Return the halves of words that were drawn."""
    outputs = lane_rows(3)
    outputs[:] = np.arange(LANES)
    _draw(outputs, lane_rows(4), TURNS)
    return TURNS * LANES * READS_PER_BLOCK


@compiled
def _count(lanes: U32, macs: U32, others: U32, turns: int) -> None:
    for turn in range(turns):
        others[turn % WORDS] += np.uint32(2654435761)
        count(macs, 0, lanes.reshape(-1), 0, others, 0, WORDS, np.uint32(0))


@compiled
def _draw(outputs: U32, words: U32, turns: int) -> None:
    one = np.uint32(1)
    for turn in range(turns):
        block = np.uint32(turn)
        philox_lanes(outputs, 0, outputs, 1, outputs, 2, block, one, one, words, 0, words, 1, words, 2, words, 3)


if __name__ == "__main__":
    main()
