from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asim_fx.mapping.build import schedule_calls
from asim_fx.mapping.workload import Call, Span, Workload
from tests.mapping.workloads import KIND, layer, size_of, span, with_count, workloads


@settings(max_examples=150, deadline=None)
@given(workloads(), st.data())
def test_more_macros_make_nothing_slower(workload, data):
    few = data.draw(st.integers(1, size_of(workload) + 12))
    more = few + data.draw(st.integers(1, 5))
    rate = data.draw(st.sampled_from([None, 30.0]))
    small, large = (schedule_calls(with_count(workload, one, load_bits_per_s=rate)) for one in (few, more))
    assert large.latency_s <= small.latency_s + 1e-9
    assert large.interval_s <= small.interval_s + 1e-9
    assert large.reloads <= small.reloads or small.reloads > 0


@settings(max_examples=100, deadline=None)
@given(workloads(loads=False), st.integers(1, 20))
def test_weights_are_loaded_again_where_they_do_not_fit_and_only_there(workload, count):
    made = schedule_calls(with_count(workload, count))
    assert (made.reloads == 0) == (size_of(workload) <= count)
    assert (made.reload_energy_j == 0) == (made.reloads == 0)
    assert made.reloads == sum(part.loads for part in made.rounds)


@settings(max_examples=100, deadline=None)
@given(workloads(), st.integers(1, 20))
def test_no_two_layers_share_a_macro_in_a_round(workload, count):
    made = schedule_calls(with_count(workload, count))
    for number in range(len(made.rounds)):
        held: dict[int, str] = {}
        for slot in made.slots:
            if slot.round == number:
                for macro in range(slot.first_macro, slot.first_macro + slot.macros):
                    assert 0 <= macro < count
                    assert held.setdefault(macro, slot.row) == slot.row
    assert len(made.slots) == len(workload.calls)


@settings(max_examples=100, deadline=None)
@given(workloads(), st.integers(1, 20))
def test_the_whole_is_made_of_its_slots(workload, count):
    made = schedule_calls(with_count(workload, count))
    assert made.latency_s == pytest.approx(max(slot.end_s for slot in made.slots))
    assert made.interval_s <= made.latency_s + 1e-9
    assert made.latency_s <= made.sequential_s + 1e-9
    assert made.latency_low_s <= made.latency_s <= made.latency_high_s
    assert made.utilisation[-1] == (pytest.approx(made.latency_s), pytest.approx(0))
    assert all(-1e-12 <= share <= 1 + 1e-12 for _, share in made.utilisation)
    work = sum(slot.macros * slot.busy_s for slot in made.slots)
    assert made.mean_utilisation == pytest.approx(work / (count * made.latency_s))
    assert made.pipelined_utilisation == pytest.approx(work / (count * made.interval_s))
    assert made.pipelined_utilisation <= 1 + 1e-9


def test_copies_of_an_activation_are_written_too():
    workload = Workload((layer(0, stays=False),), (Call("qk", 0, 8, span(1)),), {KIND: 4})
    made = schedule_calls(workload)
    assert made.slots[0].copies == 4
    assert made.activation_loads == 4
    assert made.reload_energy_j == pytest.approx(3e-9)


def test_where_a_time_is_unknown_places_are_known_all_the_same():
    layers, unknown = (layer(0, 2), layer(1, 2)), Span(None, None, None)
    calls = (Call("a", 0, 1, unknown), Call("b", 1, 1, unknown, (0,)))
    made = schedule_calls(Workload(layers, calls, {KIND: 3}))
    assert (made.latency_s, made.interval_s, made.images_per_s, made.utilisation) == (None, None, None, ())
    assert [slot.round for slot in made.slots] == [0, 1]
    assert made.reloads == 4


def test_nothing_to_schedule():
    assert schedule_calls(Workload((), (), {KIND: 4})).slots == ()
