from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asim_fx.exploration.knapsack import Choice, Item, Menu, cost_of, damage_of, frontier, hull, within

ITEMS = st.builds(Item, st.integers(0, 12).map(float), st.integers(0, 12).map(float))
MENUS = st.lists(st.lists(ITEMS, min_size=1, max_size=5), min_size=1, max_size=4)


def every(menus: list[Menu]) -> list[Choice]:
    return list(itertools.product(*(range(len(menu)) for menu in menus)))


def best(menus: list[Menu], budget: float) -> float | None:
    fitting = [choice for choice in every(menus) if cost_of(menus, choice) <= budget]
    return min((damage_of(menus, choice) for choice in fitting), default=None)


@given(MENUS)
def test_the_frontier_is_optimal_for_its_own_costs(menus: list[Menu]) -> None:
    choices = frontier(menus)
    for choice in choices:
        assert damage_of(menus, choice) == best(menus, cost_of(menus, choice))
    costs = [cost_of(menus, choice) for choice in choices]
    damages = [damage_of(menus, choice) for choice in choices]
    assert costs == sorted(set(costs))
    assert damages == sorted(set(damages), reverse=True)
    assert costs[0] == min(cost_of(menus, choice) for choice in every(menus))
    assert damages[-1] == best(menus, float("inf"))


@given(MENUS, st.integers(0, 40))
def test_within_a_budget(menus: list[Menu], budget: int) -> None:
    choice = within(menus, budget)
    least = best(menus, budget)
    assert (choice is None) == (least is None)
    if choice is not None and least is not None:
        assert cost_of(menus, choice) <= budget
        steps = [damage_of(menus, one) for one in frontier(menus) if cost_of(menus, one) <= budget]
        assert least <= damage_of(menus, choice) <= min(steps)


@pytest.mark.parametrize("budget", range(3, 16))
def test_two_sites_that_matter_differently(budget: int) -> None:
    """Where the frontier has a step at every cost, the choice is the optimum found by trying all."""
    menus = [[Item(1, 9), Item(2, 5), Item(3, 2), Item(4, 0)], [Item(2, 40), Item(3, 10), Item(4, 3), Item(5, 1)]]
    choice = within(menus, budget)
    assert choice is not None
    assert damage_of(menus, choice) == best(menus, budget)


def test_the_hull_leaves_out_what_a_mixture_beats() -> None:
    assert hull([Item(0, 10), Item(1, 9), Item(2, 0), Item(3, 1)]) == [0, 2]
    assert hull([Item(1, 5), Item(1, 4)]) == [1]
