"""How many bytes of activations must be kept at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Operation:
    """A box of the dataflow, and the value that it makes.

    Attributes:
        label: to name it by.
        sources: numbers of the operations whose values it takes, all smaller than its own.
        size: bytes of its value; None: not known.
        streams: whether it works on each piece of a value as it comes (activation functions, sums, pooling,
            normalisation), rather than on a whole value that has to be kept (a site, the model's output).
    """

    label: str
    sources: tuple[int, ...] = ()
    size: int | None = 0
    streams: bool = False


@dataclass(frozen=True, slots=True)
class Peak:
    """The most bytes that are kept at once, and the operation during which they are."""

    size: int | None
    label: str


def peak_of(operations: Sequence[Operation]) -> Peak:
    """Return the peak of the activations that are alive, operations being done one after another in their order.

    While an operation works, what it takes and what it makes are both alive; a value is alive until the last operation
    that takes it. An operation that streams works together with the one that makes the last value it takes, if nothing
    else takes that value: it is then never kept.
    """
    if any(operation.size is None for operation in operations):
        return Peak(None, "")
    step, passed_on = steps_of(operations)
    last = list(step)
    for number, operation in enumerate(operations):
        for source in operation.sources:
            last[source] = max(last[source], step[number])
    change = [0] * (len(operations) + 1)
    for number, operation in enumerate(operations):
        if number not in passed_on:
            change[step[number]] += operation.size or 0
            change[last[number] + 1] -= operation.size or 0
    alive, most, where = 0, 0, 0
    for number, more in enumerate(change[:-1]):
        alive += more
        if alive > most:
            most, where = alive, number
    return Peak(most, operations[where].label if operations else "")


def steps_of(operations: Sequence[Operation]) -> tuple[list[int], set[int]]:
    """Return with which operation each works (itself, or the one whose result it streams), and what is streamed."""
    takers = [0] * len(operations)
    for operation in operations:
        for source in set(operation.sources):
            takers[source] += 1
    steps: list[int] = []
    passed_on: set[int] = set()
    for number, operation in enumerate(operations):
        newest = max(operation.sources, key=lambda one: (steps[one], one), default=None)
        if operation.streams and newest is not None and takers[newest] == 1:
            passed_on.add(newest)
            steps.append(steps[newest])
        else:
            steps.append(number)
    return steps, passed_on
