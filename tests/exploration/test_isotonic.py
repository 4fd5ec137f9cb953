"""Accuracy as a falling function of divergence."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asim_fx.exploration.isotonic import Outcome, Step, divergence_at, pooled

OUTCOMES = st.lists(st.builds(Outcome, st.floats(0, 3), st.floats(0, 100)), min_size=1, max_size=12)


def test_accuracies_that_fall_stay() -> None:
    falling = [Outcome(0.0, 99.0), Outcome(0.1, 98.0), Outcome(0.5, 60.0)]
    assert pooled(reversed(falling)) == [Step(one.divergence, one.divergence, one.accuracy) for one in falling]


def test_neighbours_that_rise_become_their_mean() -> None:
    rising = [Outcome(0.1, 97.0), Outcome(0.2, 98.0)]
    assert pooled([*rising, Outcome(0.4, 90.0)]) == [Step(0.1, 0.2, 97.5), Step(0.4, 0.4, 90.0)]


@given(OUTCOMES)
def test_pooled_accuracies_fall_strictly_and_keep_the_mean(outcomes: list[Outcome]) -> None:
    found = pooled(outcomes)
    assert all(left.accuracy > right.accuracy for left, right in itertools.pairwise(found))
    assert all(left.last <= right.first for left, right in itertools.pairwise(found))
    assert min(one.accuracy for one in outcomes) - 1e-9 <= found[-1].accuracy
    assert found[0].accuracy <= max(one.accuracy for one in outcomes) + 1e-9


@given(st.lists(st.integers(0, 100), min_size=1, max_size=7))
def test_no_falling_function_is_closer_by_least_squares(accuracies: list[int]) -> None:
    """Against every falling function whose values are means of neighbours, which the best one is among."""
    outcomes = [Outcome(float(place), float(value)) for place, value in enumerate(accuracies)]
    count = len(outcomes)

    def squares(edges: tuple[int, ...]) -> float:
        parts = [np.array(accuracies[start:end]) for start, end in itertools.pairwise((0, *edges, count))]
        means = [part.mean() for part in parts]
        if any(left < right for left, right in itertools.pairwise(means)):
            return float("inf")
        return float(sum(((part - mean) ** 2).sum() for part, mean in zip(parts, means, strict=True)))

    edges = itertools.chain.from_iterable(itertools.combinations(range(1, count), size) for size in range(count))
    best = min(squares(one) for one in edges)
    ends = [round(step.last) + 1 for step in pooled(outcomes)]  # the places of a step are neighbours
    assert ends[-1] == count
    assert squares(tuple(ends[:-1])) == pytest.approx(best, abs=1e-6)


def test_the_divergence_of_an_accuracy() -> None:
    outcomes = [Outcome(0.0, 99.0), Outcome(0.1, 98.0), Outcome(0.3, 94.0)]
    assert divergence_at(outcomes, 99.0) == pytest.approx(0.0, abs=1e-9)
    assert divergence_at(outcomes, 98.5) == pytest.approx(0.05)
    assert divergence_at(outcomes, 96.0) == pytest.approx(0.2)
    assert divergence_at(outcomes, 90.0) == 0.3  # nothing is assumed beyond
    assert divergence_at(outcomes, 99.1) is None
    assert divergence_at([], 0.0) is None


def test_a_step_holds_its_accuracy_up_to_its_end() -> None:
    equal = [Outcome(0.0, 99.44), Outcome(0.01, 99.44)]
    assert divergence_at(equal, 98.44) == 0.01
    outcomes = [Outcome(0.0, 99.0), Outcome(0.1, 97.0), Outcome(0.2, 98.0), Outcome(0.4, 95.5), Outcome(0.5, 95.5)]
    assert divergence_at(outcomes, 97.5) == pytest.approx(0.2)
    assert divergence_at(outcomes, 96.5) == pytest.approx(0.3)
    assert divergence_at(outcomes, 95.5) == 0.5


@given(st.lists(st.floats(0, 100), max_size=9), st.floats(0, 100))
def test_the_ideal_accuracy_is_always_in_reach(accuracies: list[float], ideal: float) -> None:
    """Lucky draws that beat the ideal model only raise what goes with no divergence."""
    outcomes = [Outcome(0.0, ideal), *(Outcome(0.1 * (place + 1), value) for place, value in enumerate(accuracies))]
    assert divergence_at(outcomes, ideal) is not None
