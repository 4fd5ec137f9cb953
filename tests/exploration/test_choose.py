from __future__ import annotations

import itertools

import pytest

from asim_fx.errors import PlanError
from asim_fx.exploration.choose import cheaper, for_budget, for_floor
from asim_fx.exploration.knapsack import Choice, Item, cost_of, damage_of, frontier

MENUS = [
    [Item(1, 9), Item(2, 5), Item(3, 2), Item(4, 0)],
    [Item(2, 40), Item(3, 10), Item(4, 3), Item(5, 1)],
    [Item(1, 2), Item(2, 1), Item(3, 0.5)],
]
EVERY = list(itertools.product(*(range(len(menu)) for menu in MENUS)))


def accuracy(choice: Choice) -> float:
    return 100 - damage_of(MENUS, choice)


@pytest.mark.parametrize("floor", [49.0, 60.0, 83.0, 91.0, 96.0, 98.0, 98.5])
def test_a_floor_at_the_least_cost(floor: float) -> None:
    found = for_floor(MENUS, floor, accuracy, accuracy)
    assert found.accuracy == accuracy(found.choice) >= floor
    least = min(cost_of(MENUS, choice) for choice in EVERY if accuracy(choice) >= floor)
    assert least <= found.cost <= least + 1  # one step of the frontier


def test_it_goes_back_when_other_draws_disagree() -> None:
    optimist = for_floor(MENUS, 96.0, lambda choice: accuracy(choice) + 30, accuracy)
    assert optimist.accuracy >= 96.0
    assert optimist.accuracy == accuracy(optimist.choice)


def test_a_floor_that_cannot_be_reached_says_the_best() -> None:
    with pytest.raises(PlanError, match=r"99\.00 % cannot be reached.*best is 98\.50 % at a cost of 12"):
        for_floor(MENUS, 99.0, accuracy, accuracy)


@pytest.mark.parametrize("budget", range(4, 13))
def test_a_budget_with_the_most_accuracy(budget: int) -> None:
    found = for_budget(MENUS, budget, accuracy)
    assert found.cost <= budget
    assert found.accuracy == max(accuracy(choice) for choice in EVERY if cost_of(MENUS, choice) <= budget)


def test_a_uniform_choice_that_simulates_better_wins() -> None:
    found = for_budget(MENUS, 12, lambda choice: 100.0 if choice == (1, 1, 1) else 50.0, others=[(1, 1, 1)])
    assert found.choice == (1, 1, 1)


def test_a_budget_that_cannot_be_met_says_the_least() -> None:
    with pytest.raises(PlanError, match="least possible is 4"):
        for_budget(MENUS, 3, accuracy)


def test_going_down_stops_after_three_failures_in_a_row() -> None:
    steps = frontier(MENUS)
    asked: list[Choice] = []

    def confirm(choice: Choice) -> float:
        asked.append(choice)
        return 100.0 if steps.index(choice) in (5, 3) else 0.0

    found = cheaper(MENUS, steps[:6], 50.0, accuracy=lambda choice: 100.0, confirm=confirm)
    assert found is not None
    assert found.choice == steps[3]
    assert asked == [*reversed(steps[:6])]
    assert cheaper(MENUS, steps[:6], 50.0, lambda choice: 0.0, confirm) is None
