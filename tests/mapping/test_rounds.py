from __future__ import annotations

from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asim_fx.mapping.rounds import cut_rounds
from asim_fx.mapping.timing import time_calls
from asim_fx.mapping.workload import Call, Workload
from tests.mapping.workloads import KIND, layer, size_of, span, with_count, workloads


def layers_of(workload: Workload, calls: range) -> set[int]:
    return {workload.calls[one].layer for one in calls}


def allowed(workload: Workload, rounds: list[range]) -> bool:
    return all(workload.fits(layers_of(workload, calls)) or len(calls) == 1 for calls in rounds)


def latency(workload: Workload, rounds: list[range]) -> float:
    timing = time_calls(workload, rounds, [1] * len(workload.layers), reload=True)
    assert timing is not None
    return timing.latency_s


@settings(max_examples=60, deadline=None)
@given(workloads(), st.data())
def test_no_other_cut_is_faster(workload, data):
    workload = with_count(workload, data.draw(st.integers(1, max(1, size_of(workload) - 1))), load_bits_per_s=30.0)
    rounds = cut_rounds(workload)
    calls = len(workload.calls)
    assert [one for part in rounds for one in part] == list(range(calls))
    assert allowed(workload, rounds)
    if workload.fits(range(len(workload.layers))):
        assert len(rounds) == 1
        return
    others = []
    for cuts in range(calls):
        for places in combinations(range(1, calls), cuts):
            other = [range(a, b) for a, b in pairwise([0, *places, calls])]
            if allowed(workload, other):
                others.append(latency(workload, other))
    assert latency(workload, rounds) == pytest.approx(min(others))


def test_a_layer_that_exceeds_the_chip_has_a_round_of_its_own():

    layers = (layer(0, 1), layer(1, 7, write=10), layer(2, 1))
    calls = tuple(Call(f"c{one}", one, 2, span(3), (one - 1,) if one else ()) for one in range(3))
    workload = Workload(layers, calls, {KIND: 3})
    assert cut_rounds(workload) == [range(1), range(1, 2), range(2, 3)]
    assert workload.passes(layers[1]) == 3
    # Three passes of two vectors, and loading between them; the first load is the round's own.
    assert workload.call_time(1).value == 3 * 2 * 3 + 2 * 10
