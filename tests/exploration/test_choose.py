from __future__ import annotations

import itertools

import pytest

from asim_fx.errors import PlanError
from asim_fx.exploration.choose import cheaper, for_budget, for_floor, promising
from asim_fx.exploration.isotonic import Floor, Outcome
from asim_fx.exploration.knapsack import Choice, Item, cost_of, damage_of, frontier

MENUS = [
    [Item(1, 9), Item(2, 5), Item(3, 2), Item(4, 0)],
    [Item(2, 40), Item(3, 10), Item(4, 3), Item(5, 1)],
    [Item(1, 2), Item(2, 1), Item(3, 0.5)],
]
EVERY = list(itertools.product(*(range(len(menu)) for menu in MENUS)))


def trial(choice: Choice) -> Outcome:
    return Outcome(damage_of(MENUS, choice), 100 - damage_of(MENUS, choice))


@pytest.mark.parametrize("most", [51.0, 40.0, 17.0, 9.0, 4.0, 2.0, 1.5])
def test_a_divergence_at_the_least_cost(most: float) -> None:
    found = for_floor(MENUS, Floor(0.0, most), trial, trial)
    assert found is not None
    assert found.outcome == trial(found.choice)
    assert found.outcome.divergence <= most
    least = min(cost_of(MENUS, choice) for choice in EVERY if trial(choice).divergence <= most)
    assert least <= found.cost <= least + 1  # one step of the frontier


def test_accuracy_must_hold_as_well() -> None:
    found = for_floor(MENUS, Floor(98.0, 40.0), trial, trial)
    assert found is not None
    assert found.outcome.accuracy >= 98.0


def test_it_goes_back_when_other_draws_disagree() -> None:
    optimist = for_floor(MENUS, Floor(90.0, 4.0), lambda choice: Outcome(trial(choice).divergence - 30, 0), trial)
    assert optimist is not None
    assert optimist.outcome.divergence <= 4.0
    assert optimist.outcome == trial(optimist.choice)


def test_a_divergence_that_nothing_holds() -> None:
    assert for_floor(MENUS, Floor(0.0, 1.4), trial, trial) is None
    assert for_floor(MENUS, Floor(98.6, 9.0), trial, trial) is None


@pytest.mark.parametrize("budget", range(4, 13))
def test_a_budget_with_the_least_divergence(budget: int) -> None:
    found = for_budget(MENUS, budget, "conversions", trial)
    assert found.cost <= budget
    assert found.outcome.divergence == min(
        trial(choice).divergence for choice in EVERY if cost_of(MENUS, choice) <= budget
    )


def test_equal_divergence_goes_to_the_cheaper_one() -> None:
    assert for_budget(MENUS, 12, "conversions", lambda _: Outcome(0.0, 99.0), others=[(0, 0, 0)]).choice == (0, 0, 0)


def test_equal_accuracy_does_not_leave_a_budget_unused() -> None:
    found = for_budget(MENUS, 12, "conversions", lambda choice: Outcome(damage_of(MENUS, choice), 99.0), [(0, 0, 0)])
    assert found.choice == (3, 3, 2)


def test_a_uniform_choice_that_simulates_better_wins() -> None:
    found = for_budget(
        MENUS, 12, "conversions", lambda choice: Outcome(0.0 if choice == (1, 1, 1) else 1.0, 50.0), others=[(1, 1, 1)]
    )
    assert found.choice == (1, 1, 1)


def test_a_budget_that_cannot_be_met_says_the_least_with_what_is_fixed() -> None:
    with pytest.raises(PlanError, match=r"budget of 3 conversions .* least possible is 4 conversions"):
        for_budget(MENUS, 3, "conversions", trial)
    with pytest.raises(PlanError, match=r"budget of 5e\+06 µJ .* least possible is 6e\+06 µJ"):
        for_budget(MENUS, 5, "energy", trial, fixed=2.0)


def test_going_down_stops_after_three_failures_in_a_row() -> None:
    steps = frontier(MENUS)
    asked: list[Choice] = []

    def confirm(choice: Choice) -> Outcome:
        asked.append(choice)
        return Outcome(0.0 if steps.index(choice) in (5, 3) else 1.0, 50.0)

    found = cheaper(MENUS, steps[:6], Floor(40.0, 0.5), trial=lambda _: Outcome(0.0, 50.0), confirm=confirm)
    assert found is not None
    assert found.choice == steps[3]
    assert asked == [*reversed(steps[:6])]
    assert cheaper(MENUS, steps[:6], Floor(40.0, 0.5), lambda _: Outcome(1.0, 50.0), confirm) is None


def test_only_choices_that_another_clearly_beats_are_left_out() -> None:
    menus = [[Item(1, 8), Item(2, 4), Item(2, 5), Item(3, 4)], [Item(1, 8), Item(2, 4), Item(2, 3), Item(3, 8)]]
    uniform = [(place, place) for place in range(4)]
    assert promising(menus, uniform) == [(0, 0), (1, 1), (2, 2), (3, 3)]
    louder = [[*menu, Item(9, 20), Item(9, 8)] for menu in menus]
    assert (4, 4) not in promising(louder, [*uniform, (4, 4), (5, 5)])
    assert promising([[Item(1, 0), Item(1, 0)]], [(0,), (1,)]) == [(0,)]  # of two equals one stays
