from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from asim_fx.mapping.liveness import Operation, peak_of, steps_of


@st.composite
def operations(draw: st.DrawFn) -> list[Operation]:
    found = []
    for number in range(draw(st.integers(1, 9))):
        sources = draw(st.sets(st.integers(0, number - 1), max_size=3)) if number else set()
        found.append(
            Operation(
                str(number), tuple(sorted(sources)), draw(st.integers(0, 9)), bool(sources) and draw(st.booleans())
            )
        )
    return found


@settings(max_examples=200, deadline=None)
@given(operations())
def test_the_peak_is_that_of_doing_it_step_by_step(made):
    """Keep values in a set, and throw each away once nobody needs it."""
    steps, passed_on = steps_of(made)
    kept, most = set(), 0
    for step in range(len(made)):
        now = [number for number in range(len(made)) if steps[number] == step]
        for number in now:
            assert all(source in kept or source in passed_on for source in made[number].sources)
        kept |= {number for number in now if number not in passed_on}
        most = max(most, sum(made[number].size for number in kept))
        later = {source for number in range(len(made)) if steps[number] > step for source in made[number].sources}
        kept &= later
    assert peak_of(made).size == most


def test_what_is_streamed_is_not_kept():
    site, relu = Operation("conv", (), 100), Operation("relu", (0,), 100, streams=True)
    assert peak_of([site, relu]).size == 100
    twice = [site, relu, Operation("other", (0,), 1)]
    assert peak_of(twice).size == 200


def test_a_residual_is_kept_beside_what_it_waits_for():
    made = [
        Operation("x", (), 8),
        Operation("conv1", (0,), 4),
        Operation("conv2", (1,), 8),
        Operation("add", (0, 2), 8, streams=True),
        Operation("head", (3,), 1),
    ]
    assert peak_of(made) == peak_of(made[:4])
    assert (peak_of(made).size, peak_of(made).label) == (8 + 4 + 8, "conv2")


def test_an_unknown_size_makes_the_peak_unknown():
    assert peak_of([Operation("a", (), 3), Operation("b", (0,), None)]).size is None
