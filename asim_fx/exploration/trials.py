"""Simulations of whole plans on the images that choices are made on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NoReturn

from torch import Tensor

from asim_fx.errors import PlanError
from asim_fx.exploration.findings import Findings, Tell, Workbench
from asim_fx.exploration.knapsack import Choice, Menu, cost_of, frontier
from asim_fx.exploration.pooling import Floor, Outcome, divergence_at, mean_outcome
from asim_fx.exploration.sensitivity import accuracy_among, outcomes_of

UNITS: Mapping[str, str] = {"conversions": "conversions", "energy": "J"}
"""Of what a plan may cost."""

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

        Raises:
            PlanError: none of them reaches it; says the best.
        """
        choices = frontier(menus)
        steps = choices[:: max(1, len(choices) // _STEPS)]
        outcomes = [self.once(choice) for choice in (*steps, choices[-1], *uniform)]
        most = divergence_at([Outcome(0.0, self.ideal), *outcomes], accuracy)
        if most is None or min(one.divergence for one in outcomes) > most:
            self.refuse(menus, accuracy, cost)
        return Floor(accuracy, most)

    def refuse(self, menus: Sequence[Menu], accuracy: float, cost: str) -> NoReturn:
        """Say that an accuracy is out of reach.

        Raises:
            PlanError: always.
        """
        choices = dict.fromkeys(choice for choice, _ in self._known)
        best = max(choices, key=lambda choice: (self.once(choice).accuracy, -cost_of(menus, choice)))
        message = (
            f"an accuracy of {accuracy:.2f} % cannot be reached with these options: "
            f"the best is {self.once(best).accuracy:.2f} % at {cost_of(menus, best) + self._fixed:.6g} {UNITS[cost]}"
        )
        raise PlanError(message, hint="allow more votes, digital levels or converter bits, or lower the floor")

    @property
    def count(self) -> int:
        """How many were run."""
        return len(self._known)

    def _simulate(self, choice: Choice, seeds: Sequence[int]) -> Outcome:
        new = [seed for seed in seeds if (choice, seed) not in self._known]
        if new:
            self._tell("simulating plans")
            converted = self._bench.convert(self._bench.spec_with(self._findings.chosen(choice)))
            for seed, outcome in zip(
                new, outcomes_of(converted, self._bench.choosing, self._reference, new), strict=True
            ):
                self._known[choice, seed] = outcome
        return mean_outcome([self._known[choice, seed] for seed in seeds])
