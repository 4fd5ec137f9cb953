"""Choose one item of each menu: least damage for a cost. A multiple-choice knapsack, by its convex hull.

Source: Sinha and Zoltners, "The multiple-choice knapsack problem", Operations Research 27 (1979): the steps along the
lower convex hull of every menu, taken by falling gain per cost, give exactly the optima of the relaxed problem; after
each whole step the choice is optimal for its own cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Item:
    """One option of a menu.

    Attributes:
        cost: what it uses up.
        damage: what it does to the result; damages add up.
    """

    cost: float
    damage: float


Menu = Sequence[Item]
Choice = tuple[int, ...]
"""For each menu the position of the chosen item."""


def cost_of(menus: Sequence[Menu], choice: Choice) -> float:
    """Return the cost of a choice."""
    return sum(menu[position].cost for menu, position in zip(menus, choice, strict=True))


def damage_of(menus: Sequence[Menu], choice: Choice) -> float:
    """Return the damage of a choice."""
    return sum(menu[position].damage for menu, position in zip(menus, choice, strict=True))


def hull(menu: Menu) -> list[int]:
    """Return the items on the lower convex hull, from the cheapest to the least damaging one."""
    found: list[int] = []
    for position in sorted(range(len(menu)), key=lambda place: (menu[place].cost, menu[place].damage)):
        item = menu[position]
        if found and (item.damage >= menu[found[-1]].damage or item.cost == menu[found[-1]].cost):
            continue
        while len(found) > 1 and _gain(menu, found[-2], found[-1]) <= _gain(menu, found[-1], position):
            found.pop()
        found.append(position)
    return found


def frontier(menus: Sequence[Menu]) -> list[Choice]:
    """Return choices from the cheapest to the least damaging; no other choice of the same cost does less damage."""
    hulls = [hull(menu) for menu in menus]
    steps = [
        (_gain(menu, before, after), number, place)
        for number, (menu, own) in enumerate(zip(menus, hulls, strict=True))
        for place, (before, after) in enumerate(pairwise(own), start=1)
    ]
    choice = [own[0] for own in hulls]
    found = [tuple(choice)]
    for _, number, place in sorted(steps, key=lambda step: (-step[0], step[1], step[2])):
        choice[number] = hulls[number][place]
        found.append(tuple(choice))
    return found


def within(menus: Sequence[Menu], budget: float) -> Choice | None:
    """Return a choice of at most this cost with little damage; None where even the cheapest costs more.

    The last choice of the frontier that fits, then the change of one site that helps most, as long as one fits.
    """
    fitting = [choice for choice in frontier(menus) if cost_of(menus, choice) <= budget]
    if not fitting:
        return None
    choice = fitting[-1]
    while (better := _best_change(menus, choice, budget - cost_of(menus, choice))) is not None:
        choice = better
    return choice


def _best_change(menus: Sequence[Menu], choice: Choice, spare: float) -> Choice | None:
    best, least = None, 0.0
    for number, (menu, position) in enumerate(zip(menus, choice, strict=True)):
        for place, item in enumerate(menu):
            change = item.damage - menu[position].damage
            if item.cost - menu[position].cost <= spare and change < least:
                best, least = (*choice[:number], place, *choice[number + 1 :]), change
    return best


def _gain(menu: Menu, before: int, after: int) -> float:
    """Return how much less damage a unit of cost buys."""
    return (menu[before].damage - menu[after].damage) / (menu[after].cost - menu[before].cost)
