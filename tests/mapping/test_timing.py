from __future__ import annotations

import networkx as nx
import pytest
from hypothesis import given, settings

from asim_fx.mapping.timing import critical_path, time_calls, wait_graph
from asim_fx.mapping.workload import Call, Span, Workload
from tests.mapping.workloads import KIND, layer, span, workloads


@settings(max_examples=80, deadline=None)
@given(workloads())
def test_the_latency_is_that_of_the_longest_chain(workload):
    timing = time_calls(workload, [range(len(workload.calls))], [1] * len(workload.layers), reload=False)
    waits = wait_graph(workload)
    spans = {one: workload.call_time(one).value for one in waits}
    chains = [[one] for one in waits]
    for one in waits:
        for other in waits:
            chains += nx.all_simple_paths(waits, one, other) if one != other else []
    longest = max(sum(spans[one] for one in chain) for chain in chains)
    assert timing.latency_s == pytest.approx(longest)
    assert sum(spans[one] for one in timing.critical) == pytest.approx(longest)
    assert list(timing.critical) == critical_path(waits, spans)
    assert all(nx.has_path(waits, a, b) for a, b in zip(timing.critical, timing.critical[1:], strict=False))


@settings(max_examples=60, deadline=None)
@given(workloads())
def test_no_call_starts_before_what_it_needs_nor_uses_macros_in_use(workload):
    timing = time_calls(workload, [range(len(workload.calls))], [1] * len(workload.layers), reload=True)
    for number, call in enumerate(workload.calls):
        assert all(timing.ends[one] <= timing.starts[number] for one in call.after)
        for other in range(number):
            if workload.calls[other].layer == call.layer:
                assert timing.ends[other] <= timing.starts[number]


def test_branches_work_at_the_same_time():
    calls = (
        Call("stem", 0, 1, span(1)),
        Call("long", 1, 1, span(5), (0,)),
        Call("short", 2, 1, span(2), (0,)),
        Call("head", 3, 1, span(1), (1, 2)),
    )
    timing = time_calls(Workload(tuple(map(layer, range(4))), calls, {KIND: None}), [range(4)], [1] * 4, reload=False)
    assert timing.starts == (0, 1, 1, 6)
    assert (timing.latency_s, timing.critical) == (7, (0, 1, 3))


def test_an_unknown_time_makes_all_times_unknown():
    calls = (Call("a", 0, 1, span(1)), Call("b", 1, 1, Span(None, None, None), (0,)))
    workload = Workload((layer(0), layer(1)), calls, {KIND: None})
    assert time_calls(workload, [range(2)], [1, 1], reload=False) is None
