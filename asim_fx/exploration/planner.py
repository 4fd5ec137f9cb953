"""Choose the settings of every site, and compare the plan with settings that are the same everywhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from asim_fx.converted import ConvertedModel
from asim_fx.errors import PlanError, UsageError
from asim_fx.exploration.choose import Accuracy, Candidate, cheaper, for_budget, for_floor
from asim_fx.exploration.findings import Findings, Tell, Workbench
from asim_fx.exploration.knapsack import Choice, Menu, cost_of, damage_of, frontier
from asim_fx.exploration.options import Goal, Option
from asim_fx.exploration.sensitivity import accuracy_of
from asim_fx.report.rows import MappingReport
from asim_fx.simulation.metrics import Estimate, estimate_over_images, estimate_over_seeds
from asim_fx.spec import HardwareSpec

_CLEARLY_BELOW = 3.0
"""Points below a floor at which one draw of the noise is enough to say no."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A plan, or a uniform setting, simulated as a whole.

    Attributes:
        name: in words.
        conversions: ADC conversions for one image.
        energy_j: energy for one image; None where unknown.
        chosen_on: top-1 in percent on the images it was chosen on.
        reported_on: top-1 on the others, with its 95 % interval; what counts.
    """

    name: str
    conversions: int
    energy_j: float | None
    chosen_on: float
    reported_on: Estimate


@dataclass(frozen=True, slots=True)
class Plan:
    """The settings chosen for every site, and how they compare.

    Attributes:
        spec: the hardware with rules for the sites.
        options: site -> its settings.
        damage: site -> its share of the predicted damage, 0..1.
        goal: what was asked for, in words.
        measured: the plan, the best uniform setting for the same goal where one was found, the spec as it is.
        notes: what else must be said.
    """

    spec: HardwareSpec
    options: Mapping[str, Option]
    damage: Mapping[str, float]
    goal: str
    measured: tuple[Measured, ...]
    notes: tuple[str, ...] = ()


def make_plan(bench: Workbench, findings: Findings, goal: Goal, tell: Tell = lambda _: None) -> Plan:
    """Choose the settings of every site for a goal, simulating whole plans on the choosing images alone.

    Raises:
        PlanError: the goal cannot be reached; says the best that can.
        UsageError: the goal is energy, and the spec does not say enough for it.
    """
    menus = findings.menus(goal.cost)
    fixed = findings.fixed_energy_j if goal.cost == "energy" else 0.0
    more = _draws(bench.seeds, 1_000, 2_000)
    known: dict[tuple[Choice, int], float] = {}

    def simulate(choice: Choice, seeds: Sequence[int]) -> float:
        new = [seed for seed in seeds if (choice, seed) not in known]
        if new:
            tell("simulating plans")
            converted = bench.convert(bench.spec_with(_chosen(findings, choice)))
            for seed, share in zip(new, accuracy_of(converted, bench.choosing, new), strict=True):
                known[choice, seed] = share
        return fmean(known[choice, seed] for seed in seeds)

    def accuracy(choice: Choice) -> float:
        return simulate(choice, bench.seeds)

    def confirm(choice: Choice) -> float:
        return simulate(choice, bench.seeds + more)

    base = bench.convert(bench.spec)
    uniform = [(position,) * len(findings.sites) for position in range(len(findings.options))]
    budget = _budget(goal, base.report)
    floor = _floor(goal, base, bench)
    if floor is None:
        if budget is None:
            raise AssertionError(goal)
        likely = _likely(menus, [choice for choice in uniform if cost_of(menus, choice) + fixed <= budget])
        found = for_budget(menus, budget - fixed, confirm, likely)
        rival = max(_by_cost(menus, likely, confirm), key=lambda one: one.accuracy, default=None)
    else:
        found = for_floor(menus, floor, accuracy, confirm)
        if budget is not None and found.cost + fixed > budget:
            message = f"the budget of {budget:.6g} {goal.cost} cannot be met at {floor:.2f} %"
            raise PlanError(message, hint=f"the least found for that accuracy is {found.cost + fixed:.6g}")

        def confirm_if_close(choice: Choice) -> float:
            once = simulate(choice, bench.seeds[:1])
            return once if once < floor - _CLEARLY_BELOW else confirm(choice)

        rival = next((one for one in _by_cost(menus, uniform, confirm_if_close) if one.accuracy >= floor), None)
        if rival is not None and rival.cost <= found.cost:  # the bisection stopped too early: accuracy is noisy
            below = [choice for choice in frontier(menus) if cost_of(menus, choice) < rival.cost]
            found = cheaper(menus, below, floor, accuracy, confirm) or found
    chosen = _chosen(findings, found.choice)
    if rival is not None and rival.cost <= found.cost and (floor is not None or rival.accuracy >= found.accuracy):
        chosen, found = _chosen(findings, rival.choice), rival  # nothing is gained by telling sites apart
    total = damage_of(menus, found.choice) or 1.0
    damage = {
        site: menu[position].damage / total
        for site, menu, position in zip(findings.sites, menus, found.choice, strict=True)
    }
    tell("measuring the result")
    spec = bench.spec_with(chosen, {site: _why(findings, site, chosen[site], damage[site]) for site in chosen})
    measured = [_measured("plan", bench.convert(spec), bench, found.accuracy)]
    if rival is not None:
        option = findings.options[rival.choice[0]]
        same = bench.convert(bench.spec_with(_chosen(findings, rival.choice)))
        measured.append(_measured(f"best uniform: {option}", same, bench, rival.accuracy))
    measured.append(
        _measured("the spec as it is", base, bench, fmean(accuracy_of(base, bench.choosing, bench.seeds + more)))
    )
    notes = () if rival is not None else ("no uniform setting reaches the goal",)
    return Plan(spec, chosen, damage, _goal_in_words(goal, budget, floor), tuple(measured), notes + findings.dropped)


def _draws(seeds: Sequence[int], *offsets: int) -> tuple[int, ...]:
    """Return other draws of the noise: as many for each seed as there are offsets."""
    return tuple(offset + seed for offset in offsets for seed in seeds)


def _likely(menus: Sequence[Menu], choices: Sequence[Choice]) -> list[Choice]:
    """Return the few choices of least predicted damage."""
    return sorted(choices, key=lambda choice: damage_of(menus, choice))[:3]


def _by_cost(menus: Sequence[Menu], choices: Sequence[Choice], confirm: Accuracy) -> Iterator[Candidate]:
    """Yield simulated choices, the cheapest first."""
    for choice in sorted(choices, key=lambda one: (cost_of(menus, one), damage_of(menus, one))):
        yield Candidate(choice, cost_of(menus, choice), confirm(choice))


def _budget(goal: Goal, report: MappingReport) -> float | None:
    if goal.share is None:
        return goal.budget
    own = report.totals["energy_j" if goal.cost == "energy" else "reads"]
    if own is None:
        message = "the spec does not say enough for its own energy"
        raise UsageError(message, hint="macros.*.cost says what energy follows from")
    return goal.share * float(own)


def _floor(goal: Goal, base: ConvertedModel, bench: Workbench) -> float | None:
    if goal.drop is None:
        return goal.floor
    base.set_fidelity("integer")
    ideal = accuracy_of(base, bench.choosing, (0,))[0]
    base.set_fidelity("hardware")
    return ideal - goal.drop


def _goal_in_words(goal: Goal, budget: float | None, floor: float | None) -> str:
    words = [] if budget is None else [f"at most {budget:.6g} {goal.cost}"]
    words += [] if floor is None else [f"top-1 of at least {floor:.2f} %"]
    return " and ".join(words)


def _chosen(findings: Findings, choice: Choice) -> dict[str, Option]:
    return {site: findings.options[position] for site, position in zip(findings.sites, choice, strict=True)}


def _why(findings: Findings, site: str, option: Option, share: float) -> str:
    reads = findings.conversions[findings.options.index(option)][site]
    return f"{site} {reads:,} conversions for {share:.0%} of the predicted damage"


def _measured(name: str, converted: ConvertedModel, bench: Workbench, chosen_on: float) -> Measured:
    shares = accuracy_of(converted, bench.reporting, _draws(bench.seeds, 1_000_000, 2_000_000, 3_000_000))
    images = len(bench.reporting)
    same = len(set(shares)) == 1  # no spread over draws; what is left is that of images
    estimate = estimate_over_images(round(shares[0] * images / 100), images) if same else estimate_over_seeds(shares)
    totals = converted.report.totals
    return Measured(name, totals["reads"], totals["energy_j"], chosen_on, estimate)
