"""What is said when nothing holds a floor."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch

from asim_fx.errors import PlanError
from asim_fx.exploration import trials as module
from asim_fx.exploration.images import Images
from asim_fx.exploration.isotonic import Floor, Outcome
from asim_fx.exploration.knapsack import Choice, Item
from asim_fx.exploration.trials import Trials

MENUS = [[Item(1, 9), Item(2, 0)], [Item(1, 9), Item(3, 0)]]


@dataclass
class Bench:
    """Stands for a workbench whose plans do what a table says, the same with every draw."""

    outcomes: dict[Choice, Outcome]
    choosing: Images
    seeds: tuple[int, ...] = (0,)

    def spec_with(self, chosen: Choice) -> Choice:
        return chosen

    def convert(self, spec: Choice) -> Outcome:
        return self.outcomes[spec]


class Found:
    def chosen(self, choice: Choice) -> Choice:
        return choice


def trials_of(monkeypatch: pytest.MonkeyPatch, outcomes: dict[Choice, Outcome], ideal: float) -> Trials:
    monkeypatch.setattr(module, "outcomes_of", lambda outcome, _data, _reference, seeds: [outcome] * len(seeds))
    monkeypatch.setattr(module, "accuracy_among", lambda _scores, _labels: ideal)
    images = Images(torch.zeros(1, 1, 1, 1), torch.zeros(1), 1)
    bench = Bench(outcomes, images)
    return Trials(bench, Found(), torch.zeros(1, 1), 0.0, lambda _: None)  # type: ignore[arg-type]


def test_less_accuracy_than_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    trials = trials_of(monkeypatch, {(0, 0): Outcome(0.5, 90.0), (1, 1): Outcome(0.1, 96.0)}, 98.0)
    for choice in ((0, 0), (1, 1)):
        trials.once(choice)
    with pytest.raises(PlanError, match=r"of 97.00 % cannot be reached with these options: the best is 96.00 % at 5 "):
        trials.refuse(MENUS, Floor(97.0, 0.2), "conversions")


def test_accuracy_that_a_lucky_plan_reaches(monkeypatch: pytest.MonkeyPatch) -> None:
    trials = trials_of(monkeypatch, {(0, 0): Outcome(0.5, 97.5), (1, 1): Outcome(0.3, 96.0)}, 98.0)
    for choice in ((0, 0), (1, 1)):
        trials.once(choice)
    with pytest.raises(PlanError) as refused:
        trials.refuse(MENUS, Floor(97.0, 0.2), "conversions")
    words = str(refused.value)
    assert "one reached 97.50 % at 2 conversions" in words
    assert "0.5 nats, more than the 0.2 nats" in words
    assert "the best is" not in words


def test_accuracy_above_the_ideal_model(monkeypatch: pytest.MonkeyPatch) -> None:
    trials = trials_of(monkeypatch, {(1, 1): Outcome(0.01, 99.0)}, 98.0)
    trials.once((1, 1))
    with pytest.raises(PlanError, match=r"by luck, as the ideal integer model has 98.00 %"):
        trials.refuse(MENUS, Floor(98.5, 0.0), "conversions")


def test_luck_of_a_single_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    trials = trials_of(monkeypatch, {(0, 0): Outcome(0.1, 97.5)}, 98.0)
    trials.once((0, 0))
    with pytest.raises(PlanError, match=r"reached 97.50 % at 2 conversions, but only with some draws of the noise"):
        trials.refuse(MENUS, Floor(97.0, 0.2), "conversions")


def test_a_floor_that_everything_holds_sets_no_limit_to_divergence(monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = {choice: Outcome(0.1 * place, 99.44) for place, choice in enumerate([(1, 1), (1, 0), (0, 1), (0, 0)])}
    trials = trials_of(monkeypatch, outcomes, 99.44)
    assert trials.floor(MENUS, [(1, 1), (0, 0)], 98.44, "conversions") == Floor(98.44, math.inf)
    outcomes[0, 0] = Outcome(0.3, 50.0)
    trials = trials_of(monkeypatch, outcomes, 99.44)
    assert 0.1 < trials.floor(MENUS, [(1, 1), (0, 0)], 98.44, "conversions").divergence < 0.3


def test_the_cheapest_of_what_was_simulated(monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = {(0, 0): Outcome(0.5, 97.5), (1, 0): Outcome(0.1, 97.5), (1, 1): Outcome(0.0, 98.0)}
    trials = trials_of(monkeypatch, outcomes, 98.0)
    for choice in outcomes:
        trials.once(choice)
    found = trials.cheapest(MENUS, Floor(97.0, 0.2))
    assert found is not None
    assert found.choice == (1, 0)
    assert trials.cheapest(MENUS, Floor(99.0, 0.2)) is None
