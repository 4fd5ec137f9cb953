"""Simulations of whole plans on the images that choices are made on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NoReturn

from torch import Tensor

from asim_fx.errors import PlanError
from asim_fx.exploration.choose import Candidate
from asim_fx.exploration.costs import amount
from asim_fx.exploration.findings import Findings, Tell, Workbench
from asim_fx.exploration.isotonic import Floor, Outcome, divergence_at, mean_outcome
from asim_fx.exploration.knapsack import Choice, Menu, cost_of, frontier
from asim_fx.exploration.scores import accuracy_among, outcomes_of

_STEPS = 12
"""Choices along the frontier that are simulated to learn which divergence goes with an accuracy."""


def more_draws(seeds: Sequence[int], *offsets: int) -> tuple[int, ...]:
    """Return other draws of the noise: as many for each seed as there are offsets."""
    return tuple(offset + seed for offset in offsets for seed in seeds)


class Trials:
    """Simulations of whole plans on the choosing images, none of them run twice."""

    def __init__(self, bench: Workbench, findings: Findings, reference: Tensor, fixed: float, tell: Tell) -> None:
        self._bench, self._findings, self._reference, self._tell = bench, findings, reference, tell
        self._fixed = fixed
        self._known: dict[tuple[Choice, int], Outcome] = {}
        self.ideal = accuracy_among(reference, bench.choosing.labels)
        self.seeds = bench.seeds + more_draws(bench.seeds, 1_000, 2_000)

    def first(self, choice: Choice) -> Outcome:
        """Return what the bench's own draws give."""
        return self._simulate(choice, self._bench.seeds)

    def confirm(self, choice: Choice) -> Outcome:
        """Return what these and others give."""
        return self._simulate(choice, self.seeds)

    def once(self, choice: Choice) -> Outcome:
        """Return what a single draw gives."""
        return self._simulate(choice, self.seeds[:1])

    def floor(self, menus: Sequence[Menu], uniform: Sequence[Choice], accuracy: float, cost: str) -> Floor:
        """Return the floor of an accuracy, by simulations along the frontier and of uniform choices.

        Where the fit has the accuracy at all of them, no divergence is known to be too great: the limit is infinite.

        Raises:
            PlanError: none of them reaches it; says the best.
        """
        choices = frontier(menus)
        steps = choices[:: max(1, len(choices) // _STEPS)]
        outcomes = [self.once(choice) for choice in (*steps, choices[-1], *uniform)]
        most = divergence_at([Outcome(0.0, self.ideal), *outcomes], accuracy)
        if most is None or min(one.divergence for one in outcomes) > most:
            self.refuse(menus, Floor(accuracy, most or 0.0), cost)
        return Floor(accuracy, math.inf if most >= max(one.divergence for one in outcomes) else most)

    def cheapest(self, menus: Sequence[Menu], floor: Floor) -> Candidate | None:
        """Return the cheapest choice simulated so far that holds a floor with all draws; None where none does."""
        for choice in sorted(self._choices(), key=lambda one: cost_of(menus, one)):
            if floor.holds(self._so_far(choice)) and floor.holds(self.confirm(choice)):
                return Candidate(choice, cost_of(menus, choice), self.confirm(choice))
        return None

    def refuse(self, menus: Sequence[Menu], floor: Floor, cost: str) -> NoReturn:
        """Say that no choice holds a floor, and why the most accurate one does not.

        Raises:
            PlanError: always.
        """
        best = max(self._choices(), key=lambda choice: (self._so_far(choice).accuracy, -cost_of(menus, choice)))
        outcome = self._so_far(best)
        reached = f"{outcome.accuracy:.2f} % at {amount(cost_of(menus, best) + self._fixed, cost)}"
        message = f"an accuracy of {floor.accuracy:.2f} % cannot be reached with these options: the best is {reached}"
        if outcome.accuracy >= floor.accuracy:
            message = f"no plan holds an accuracy of {floor.accuracy:.2f} % with these options: one reached {reached}, "
            if self.ideal < floor.accuracy:
                message += f"but by luck, as the ideal integer model has {self.ideal:.2f} %"
            elif outcome.divergence <= floor.divergence:
                message += "but only with some draws of the noise"
            else:
                message += (
                    f"but its KL divergence from the ideal integer model is {outcome.divergence:.3g} nats, "
                    f"more than the {floor.divergence:.3g} nats that correspond to this accuracy"
                )
        raise PlanError(message, hint="allow more votes, digital levels or converter bits, or lower the floor")

    def _choices(self) -> Sequence[Choice]:
        return list(dict.fromkeys(choice for choice, _ in self._known))

    def _so_far(self, choice: Choice) -> Outcome:
        """Return the mean over the draws that were run."""
        return mean_outcome([outcome for (own, _), outcome in self._known.items() if own == choice])

    @property
    def count(self) -> int:
        """How many were run."""
        return len(self._known)

    def _simulate(self, choice: Choice, seeds: Sequence[int]) -> Outcome:
        new = [seed for seed in seeds if (choice, seed) not in self._known]
        if new:
            self._tell(f"simulating plans, {self.count} done")
            converted = self._bench.convert(self._bench.spec_with(self._findings.chosen(choice)))
            for seed, outcome in zip(
                new, outcomes_of(converted, self._bench.choosing, self._reference, new), strict=True
            ):
                self._known[choice, seed] = outcome
        return mean_outcome([self._known[choice, seed] for seed in seeds])
