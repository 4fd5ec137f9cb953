"""When each call starts and ends, and which of them the latency of an image is made of."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import networkx as nx

from asim_fx.mapping.copies import calls_of_layers
from asim_fx.mapping.workload import NO_TIME, Workload

Which: TypeAlias = Literal["value", "low", "high"]
_END = -1


@dataclass(frozen=True, slots=True)
class Timing:
    """Times from the beginning of an image, in s.

    Attributes:
        starts: of each call.
        ends: of each call.
        loads: when loading begins, for each round.
        critical: calls of which each waits for the one before it, and which together take longest, round by round.
    """

    starts: tuple[float, ...]
    ends: tuple[float, ...]
    loads: tuple[float, ...]
    critical: tuple[int, ...]

    @property
    def latency_s(self) -> float:
        """When the last call ends."""
        return max(self.ends, default=0.0)


def time_calls(
    workload: Workload, rounds: Sequence[range], copies: Sequence[int], *, reload: bool, which: Which = "value"
) -> Timing | None:
    """Return when each call works; None where a time is not known.

    A call starts once all results that it needs are there and the call before it of the same layer has ended. A round
    starts once the one before it has ended and its weights are loaded.

    Args:
        workload: the calls.
        rounds: the calls of each round.
        copies: of each layer.
        reload: whether weights are loaded for each image.
        which: the times themselves, or an end of their bands.
    """
    waits = wait_graph(workload)
    starts: list[float] = []
    ends: list[float] = []
    loads: list[float] = []
    critical: list[int] = []
    for calls in rounds:
        layers = {workload.calls[number].layer for number in calls}
        loading = getattr(workload.load_time(layers) if reload else NO_TIME, which)
        spans = {
            number: getattr(workload.call_time(number, copies[workload.calls[number].layer]), which) for number in calls
        }
        if loading is None or None in spans.values():
            return None
        loads.append(max(ends, default=0.0))
        begin = loads[-1] + loading
        for number in calls:
            starts.append(max([begin, *(ends[one] for one in waits.predecessors(number))]))
            ends.append(starts[-1] + spans[number])
        critical += critical_path(waits.subgraph(calls), spans)
    return Timing(tuple(starts), tuple(ends), tuple(loads), tuple(critical))


def wait_graph(workload: Workload) -> nx.DiGraph[int]:
    """Return which call waits for which: for the results that it needs, and for macros in use."""
    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_nodes_from(range(len(workload.calls)))
    graph.add_edges_from((one, number) for number, call in enumerate(workload.calls) for one in call.after)
    for mine in calls_of_layers(workload):
        graph.add_edges_from(itertools.pairwise(mine))
    return graph


def critical_path(waits: nx.DiGraph[int], spans: dict[int, float]) -> list[int]:
    """Return the chain of calls that takes longest."""
    weighted: nx.DiGraph[Any] = nx.DiGraph()
    for number in sorted(waits):
        weighted.add_edges_from((number, after, {"span": spans[number]}) for after in waits.successors(number))
        weighted.add_edge(number, _END, span=spans[number])
    return [number for number in nx.dag_longest_path(weighted, weight="span") if number != _END]
