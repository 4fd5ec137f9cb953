from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asim_fx.mapping.copies import busy_time, calls_of_layers, choose_copies
from asim_fx.mapping.workload import Call, Workload
from tests.mapping.workloads import KIND, layer, size_of, span, with_count, workloads


def busiest(workload: Workload, copies) -> float:
    return max(busy_time(workload, mine, held) for mine, held in zip(calls_of_layers(workload), copies, strict=True))


def macros(workload: Workload, copies) -> int:
    return sum(one.macros * held for one, held in zip(workload.layers, copies, strict=True))


@settings(max_examples=60, deadline=None)
@given(workloads(most=3), st.integers(0, 8))
def test_no_other_choice_has_a_shorter_busiest_layer(workload, spare):
    workload = with_count(workload, size_of(workload) + spare)
    chosen = choose_copies(workload)
    assert macros(workload, chosen) <= workload.counts[KIND]
    choices = product(range(1, spare + 2), repeat=len(workload.layers))
    best = min(busiest(workload, each) for each in choices if macros(workload, each) <= workload.counts[KIND])
    assert busiest(workload, chosen) == pytest.approx(best)


@settings(max_examples=60, deadline=None)
@given(workloads(), st.integers(0, 20))
def test_one_more_macro_takes_no_copy_away(workload, spare):
    fewer, more = (choose_copies(with_count(workload, size_of(workload) + one)) for one in (spare, spare + 1))
    assert all(one <= other for one, other in zip(fewer, more, strict=True))


def test_copies_are_of_the_slow_layer():
    calls = (Call("slow", 0, 100, span(1)), Call("fast", 1, 10, span(1), (0,)))
    workload = Workload((layer(0), layer(1)), calls, {KIND: 11})
    assert choose_copies(workload) == [10, 1]
    assert choose_copies(with_count(workload, 11, duplicate=False)) == [1, 1]
    assert choose_copies(with_count(workload, None)) == [1, 1]


def test_a_copy_that_would_have_nothing_to_do_is_not_made():
    workload = Workload((layer(0),), (Call("a", 0, 3, span(1)),), {KIND: 50})
    assert choose_copies(workload) == [3]
