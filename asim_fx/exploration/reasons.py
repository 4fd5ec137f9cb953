"""Why a plan gives sites the option that it does: what the next cheaper and the next dearer option would change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from asim_fx.exploration.costs import span
from asim_fx.exploration.knapsack import Choice, Item, Menu, damage_of, hull
from asim_fx.exploration.options import Option

_MANY = 1000
"""Times the damage above which the figure says nothing more."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The item that one site has, and those beside it on the lower convex hull of its menu.

    Attributes:
        own: what it has.
        cheaper: the next cheaper one; None where none is.
        dearer: the next dearer one that does less damage; None where none does.
    """

    own: Item
    cheaper: Item | None
    dearer: Item | None


def neighbours(menu: Menu, position: int) -> Neighbours:
    """Return what stands beside an item of a menu."""
    own = menu[position]
    steps = [menu[place] for place in hull(menu)]  # from the cheapest on, each of less damage
    cheaper = [item for item in steps if item.cost < own.cost]
    dearer = [item for item in steps if item.cost > own.cost and item.damage < own.damage]
    return Neighbours(own, cheaper[-1] if cheaper else None, dearer[0] if dearer else None)


def reasons(menus: Sequence[Menu], choice: Choice, options: Sequence[Option], cost: str) -> dict[Option, str]:
    """Return for each option that was chosen why its sites have it, in words.

    Args:
        menus: the options of every site with their cost and predicted damage.
        choice: the option of every site.
        options: by position.
        cost: ``conversions`` or ``energy``.
    """
    total = damage_of(menus, choice)
    groups: dict[Option, list[Neighbours]] = {}
    for menu, position in zip(menus, choice, strict=True):
        groups.setdefault(options[position], []).append(neighbours(menu, position))
    return {option: _in_words(group, total, cost) for option, group in groups.items()}


def _in_words(group: Sequence[Neighbours], total: float, cost: str) -> str:
    share = sum(one.own.damage for one in group) / total if total else 0.0
    costs = span([one.own.cost for one in group], cost)
    first = f"{len(group)} sites, {costs} each" if len(group) > 1 else f"1 site, {costs}"
    return f"{first}, {share:.0%} of the predicted damage. {_cheaper(group)}. {_dearer(group, cost)}."


def _cheaper(group: Sequence[Neighbours]) -> str:
    having = [(one.own.damage, one.cheaper.damage) for one in group if one.cheaper is not None]
    if not having:
        return "No cheaper option was offered"
    ratios = [damage / own for own, damage in having if own]
    times = f"{_range(ratios, _times)} times the damage" if ratios else "more damage than none"
    return f"The next cheaper option would do {times}{_part(len(having), len(group))}"


def _dearer(group: Sequence[Neighbours], cost: str) -> str:
    having = [(one.own, one.dearer) for one in group if one.dearer is not None]
    if not having:
        return "No option does less damage"
    more = span([dearer.cost - own.cost for own, dearer in having], cost)
    less = _range([1 - dearer.damage / own.damage for own, dearer in having], lambda value: f"{value:.0%}")
    return f"The next dearer option would cost {more} more for {less} less damage{_part(len(having), len(group))}"


def _part(count: int, of: int) -> str:
    return "" if count == of else f" (at {count} of the {of} sites; the others have none)"


def _times(ratio: float) -> str:
    return f"{ratio:.3g}" if ratio < _MANY else f"over {_MANY:,}"


def _range(values: Sequence[float], words: Callable[[float], str]) -> str:
    """Return the least and the greatest value in words, once where both read alike."""
    return " to ".join(dict.fromkeys((words(min(values)), words(max(values)))))
