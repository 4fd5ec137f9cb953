"""Choose a plan by what single sites were found to do, and check it by simulation of the whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from asim_fx.errors import PlanError
from asim_fx.exploration.costs import amount
from asim_fx.exploration.isotonic import Floor, Outcome
from asim_fx.exploration.knapsack import Choice, Menu, cost_of, damage_of, frontier, within

_MOST_MISSES = 3
_CLEARLY_LESS = 0.5
"""Share of another's predicted damage that is less whatever the error of the prediction."""

Trial = Callable[[Choice], Outcome]
"""Simulates a choice; the mean over draws of the noise."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A choice that was simulated.

    Attributes:
        choice: item of each menu.
        cost: what it costs.
        outcome: that was measured.
    """

    choice: Choice
    cost: float
    outcome: Outcome


def for_floor(menus: Sequence[Menu], floor: Floor, trial: Trial, confirm: Trial) -> Candidate | None:
    """Return a cheap choice that holds a floor.

    Bisects the frontier, taking divergence to fall along it, then confirms with other draws of the noise and goes up
    the frontier until that holds. From there it goes down again step by step while cheaper ones are confirmed:
    all this grows along the frontier only on the whole.

    Args:
        menus: the items of every site, with costs and predicted damage.
        floor: what must hold.
        trial: used to search.
        confirm: used to accept; with more draws than ``trial``.

    Returns:
        None where no choice of the frontier holds.
    """
    choices = frontier(menus)
    low, high = 0, len(choices) - 1
    while low < high:
        middle = (low + high) // 2
        if trial(choices[middle]).divergence <= floor.divergence:
            high = middle
        else:
            low = middle + 1
    step = 1
    while True:
        choice = choices[low]
        found = Candidate(choice, cost_of(menus, choice), confirm(choice))
        if floor.holds(found.outcome):
            return cheaper(menus, choices[:low], floor, trial, confirm) or found
        if low == len(choices) - 1:
            return None
        low = min(low + step, len(choices) - 1)
        step *= 2


def cheaper(
    menus: Sequence[Menu], choices: Sequence[Choice], floor: Floor, trial: Trial, confirm: Trial
) -> Candidate | None:
    """Return the cheapest confirmed choice on the way down a frontier.

    Args:
        menus: the items of every site.
        choices: a part of the frontier, from its cheapest one on; walked from its end, until three in a row fail.
        floor: what must hold.
        trial: used to search.
        confirm: used to accept.

    Returns:
        None where none is confirmed.
    """
    found, misses = None, 0
    for choice in reversed(choices):
        outcome = confirm(choice) if trial(choice).divergence <= floor.divergence else None
        if outcome is not None and floor.holds(outcome):
            found, misses = Candidate(choice, cost_of(menus, choice), outcome), 0
        else:
            misses += 1
        if misses == _MOST_MISSES:
            break
    return found


def for_budget(
    menus: Sequence[Menu],
    budget: float,
    cost: str,
    confirm: Trial,
    others: Sequence[Choice] = (),
    fixed: float = 0.0,
) -> Candidate:
    """Return the choice of least divergence found within a budget.

    Simulates the best predicted choice, the last one of the frontier that fits, and others that fit.

    Args:
        menus: the items of every site.
        budget: the most that a choice may cost.
        cost: what costs are: ``conversions`` or ``energy``.
        confirm: measures a choice.
        others: further choices, such as uniform ones.
        fixed: what is used up whatever is chosen.

    Raises:
        PlanError: even the cheapest choice costs more; says how much.
    """
    best = within(menus, budget - fixed)
    if best is None:
        cheapest = cost_of(menus, frontier(menus)[0]) + fixed
        message = (
            f"a budget of {amount(budget, cost)} cannot be met with these options: "
            f"the least possible is {amount(cheapest, cost)}"
        )
        raise PlanError(message, hint="allow a larger encoding or more digital levels, or raise the budget")
    fitting = [choice for choice in (*frontier(menus), *others) if cost_of(menus, choice) + fixed <= budget]
    tried = dict.fromkeys([best, *(choice for choice in fitting if choice in others), _dearest(menus, fitting)])
    seen = [Candidate(choice, cost_of(menus, choice), confirm(choice)) for choice in tried]
    return min(seen, key=lambda one: (one.outcome.divergence, one.cost))


def _dearest(menus: Sequence[Menu], choices: Sequence[Choice]) -> Choice:
    return max(choices, key=lambda choice: cost_of(menus, choice))


def promising(menus: Sequence[Menu], choices: Sequence[Choice]) -> list[Choice]:
    """Return the choices that are worth a simulation, cheapest first.

    The others are left out: some choice costs no more and is predicted to do clearly less damage at every site.

    Args:
        menus: the items of every site, with costs and predicted damage.
        choices: of them.
    """
    kept: list[Choice] = []
    for choice in sorted(dict.fromkeys(choices), key=lambda one: (cost_of(menus, one), damage_of(menus, one))):
        if not any(_clearly_better(menus, other, choice) for other in kept):
            kept.append(choice)
    return kept


def _clearly_better(menus: Sequence[Menu], one: Choice, other: Choice) -> bool:
    return all(
        menu[mine].damage <= _CLEARLY_LESS * menu[theirs].damage
        for menu, mine, theirs in zip(menus, one, other, strict=True)
    )
