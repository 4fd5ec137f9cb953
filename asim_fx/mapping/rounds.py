"""Cut a model that exceeds the chip into rounds, whose weights are loaded one after another."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from asim_fx.mapping.workload import Workload


@dataclass(frozen=True, slots=True)
class _Best:
    """The cheapest way to have done some calls: time, macros filled, rounds, and where the last round begins."""

    seconds: float
    loads: int
    rounds: int
    start: int

    @property
    def key(self) -> tuple[float, int, int]:
        return self.seconds, self.loads, self.rounds


def cut_rounds(workload: Workload) -> list[range]:
    """Return the calls of each round; a single one where everything is on the chip together.

    A round is a run of calls in graph order whose layers fit, or a single call of a layer that alone exceeds the chip.
    Among all such cuts this is one that takes the least time (loading, then the critical path of each round); of
    several, the one that fills the fewest macros. Where times are not known they count as nothing.

    Cost: the calls times those of the longest round.
    """
    count = len(workload.calls)
    if not count:
        return []
    if workload.fits(range(len(workload.layers))):
        return [range(count)]
    best = [_Best(0.0, 0, 0, 0), *([_Best(float("inf"), 0, 0, 0)] * count)]
    for start in range(count):
        _extend(workload, start, best)
    cuts = [count]
    while cuts[-1]:
        cuts.append(best[cuts[-1]].start)
    cuts.reverse()
    return [range(first, last) for first, last in itertools.pairwise(cuts)]


def _extend(workload: Workload, start: int, best: list[_Best]) -> None:
    """Try all rounds that begin with one call."""
    before = best[start]
    ends: dict[int, float] = {}
    free: dict[int, float] = {}
    for last in range(start, len(workload.calls)):
        call = workload.calls[last]
        begin = max([free.get(call.layer, 0.0), *(ends[one] for one in call.after if one >= start)])
        ends[last] = free[call.layer] = begin + (workload.call_time(last).value or 0.0)
        if last > start and not workload.fits(free):
            return
        loaded = sum(workload.layers[one].macros for one in free if workload.layers[one].stays)
        seconds = before.seconds + (workload.load_time(free).value or 0.0) + max(ends.values())
        found = _Best(seconds, before.loads + loaded, before.rounds + 1, start)
        if found.key < best[last + 1].key:
            best[last + 1] = found
        if not workload.fits(free):
            return
