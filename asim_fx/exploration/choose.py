"""Choose a plan by what single sites were found to do, and check it by simulation of the whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from asim_fx.errors import PlanError
from asim_fx.exploration.knapsack import Choice, Menu, cost_of, frontier, within

_MOST_MISSES = 3

Accuracy = Callable[[Choice], float]
"""Simulates a choice; top-1 in percent, the mean over seeds."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A choice that was simulated.

    Attributes:
        choice: item of each menu.
        cost: what it costs.
        accuracy: that was measured.
    """

    choice: Choice
    cost: float
    accuracy: float


def for_floor(menus: Sequence[Menu], floor: float, accuracy: Accuracy, confirm: Accuracy) -> Candidate:
    """Return a cheap choice that reaches an accuracy.

    Bisects the frontier, taking accuracy to grow along it, then confirms with other draws of the noise and goes up
    the frontier until that holds. From there it goes down again step by step while cheaper ones are confirmed: accuracy
    grows along the frontier only on the whole.

    Args:
        menus: the items of every site, with costs and predicted damage.
        floor: percent.
        accuracy: used to search.
        confirm: used to accept; with more draws than ``accuracy``.

    Raises:
        PlanError: no choice of the frontier reaches it; says the best one.
    """
    choices = frontier(menus)
    low, high = 0, len(choices) - 1
    while low < high:
        middle = (low + high) // 2
        if accuracy(choices[middle]) >= floor:
            high = middle
        else:
            low = middle + 1
    seen: list[Candidate] = []
    step = 1
    while True:
        choice = choices[low]
        seen.append(Candidate(choice, cost_of(menus, choice), confirm(choice)))
        if seen[-1].accuracy >= floor:
            return cheaper(menus, choices[:low], floor, accuracy, confirm) or seen[-1]
        if low == len(choices) - 1:
            best = max(seen, key=lambda one: one.accuracy)
            message = (
                f"an accuracy of {floor:.2f} % cannot be reached with these options: "
                f"the best is {best.accuracy:.2f} % at a cost of {best.cost:.6g}"
            )
            raise PlanError(message, hint="allow more votes, digital levels or converter bits, or lower the floor")
        low = min(low + step, len(choices) - 1)
        step *= 2


def cheaper(
    menus: Sequence[Menu], choices: Sequence[Choice], floor: float, accuracy: Accuracy, confirm: Accuracy
) -> Candidate | None:
    """Return the cheapest confirmed choice on the way down a frontier.

    Args:
        menus: the items of every site.
        choices: a part of the frontier, from its cheapest one on; walked from its end, until three in a row fail.
        floor: percent.
        accuracy: used to search.
        confirm: used to accept.

    Returns:
        None where none is confirmed.
    """
    found, misses = None, 0
    for choice in reversed(choices):
        reached = confirm(choice) if accuracy(choice) >= floor else 0.0
        if reached >= floor:
            found, misses = Candidate(choice, cost_of(menus, choice), reached), 0
        else:
            misses += 1
        if misses == _MOST_MISSES:
            break
    return found


def for_budget(menus: Sequence[Menu], budget: float, confirm: Accuracy, others: Sequence[Choice] = ()) -> Candidate:
    """Return the most accurate choice found within a budget.

    Simulates the best predicted choice, the last one of the frontier that fits, and others that fit.

    Args:
        menus: the items of every site.
        budget: the most that a choice may cost.
        confirm: measures a choice.
        others: further choices, such as uniform ones.

    Raises:
        PlanError: even the cheapest choice costs more; says how much.
    """
    best = within(menus, budget)
    if best is None:
        cheapest = cost_of(menus, frontier(menus)[0])
        message = f"a budget of {budget:.6g} cannot be met with these options: the least possible is {cheapest:.6g}"
        raise PlanError(message, hint="allow a larger encoding or more digital levels, or raise the budget")
    fitting = [choice for choice in (*frontier(menus), *others) if cost_of(menus, choice) <= budget]
    tried = dict.fromkeys([best, *(choice for choice in fitting if choice in others), _dearest(menus, fitting)])
    seen = [Candidate(choice, cost_of(menus, choice), confirm(choice)) for choice in tried]
    return max(seen, key=lambda one: (one.accuracy, -one.cost))


def _dearest(menus: Sequence[Menu], choices: Sequence[Choice]) -> Choice:
    return max(choices, key=lambda choice: cost_of(menus, choice))
