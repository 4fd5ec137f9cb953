"""Copies of slow layers on the macros that are left."""

from __future__ import annotations

from asim_fx.mapping.workload import Workload


def choose_copies(workload: Workload) -> list[int]:
    """Return how many copies of each layer the chip holds, so that the busiest one is done as soon as possible.

    The busiest layer gets as many more copies as make it faster, until they do not fit. No other choice has a shorter
    busiest layer: each has at least these copies of it, and so on back to one copy of each. With more macros the same
    steps are taken, and then others, so that no layer gets slower.

    Needs all layers to be on the chip together. Where a time is not known, and of a kind without a count, one copy.
    """
    copies = [1] * len(workload.layers)
    calls = calls_of_layers(workload)
    left = {
        macro: None if count is None else count - used
        for (macro, count), used in zip(
            workload.counts.items(), workload.needed(range(len(workload.layers))).values(), strict=True
        )
    }
    busy = [busy_time(workload, mine, 1) for mine in calls]
    if not workload.duplicate or None in busy:
        return copies
    while busy:
        slowest = max(range(len(busy)), key=lambda one: busy[one] or 0.0)
        layer = workload.layers[slowest]
        spare, wanted = left[layer.macro], _next_copies(workload, calls[slowest], copies[slowest])
        if spare is None or wanted is None or (wanted - copies[slowest]) * layer.macros > spare:
            break
        left[layer.macro] = spare - (wanted - copies[slowest]) * layer.macros
        copies[slowest] = wanted
        busy[slowest] = busy_time(workload, calls[slowest], wanted)
    return copies


def calls_of_layers(workload: Workload) -> list[list[int]]:
    """Return the calls of each layer."""
    found: list[list[int]] = [[] for _ in workload.layers]
    for number, call in enumerate(workload.calls):
        found[call.layer].append(number)
    return found


def busy_time(workload: Workload, calls: list[int], copies: int) -> float | None:
    """Return how long the macros of a layer work for one image, over all its calls."""
    times = [workload.call_time(number, copies).value for number in calls]
    return None if None in times else sum(time for time in times if time is not None)


def _next_copies(workload: Workload, calls: list[int], copies: int) -> int | None:
    """Return the least number of copies that makes some call faster; None where each copy has one vector already."""
    turns = [(workload.calls[number].vectors, -(-workload.calls[number].vectors // copies)) for number in calls]
    return min((-(-vectors // (turn - 1)) for vectors, turn in turns if turn > 1), default=None)
