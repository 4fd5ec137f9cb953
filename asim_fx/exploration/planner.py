"""Choose the settings of every site, and compare the plan with settings that are the same everywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean

from torch import Tensor

from asim_fx.converted import ConvertedModel
from asim_fx.errors import PlanError, UsageError
from asim_fx.exploration.choose import Candidate, cheaper, for_budget, for_floor, promising
from asim_fx.exploration.findings import Findings, Tell, Workbench
from asim_fx.exploration.isotonic import Floor, mean_outcome
from asim_fx.exploration.knapsack import Choice, Menu, cost_of, damage_of, frontier
from asim_fx.exploration.options import Goal, Option
from asim_fx.exploration.scores import accuracy_of, ideal_scores, outcomes_of
from asim_fx.exploration.trials import UNITS, Trials, more_draws
from asim_fx.report.rows import MappingReport
from asim_fx.simulation.metrics import Estimate, estimate_over_images, estimate_over_seeds
from asim_fx.spec import HardwareSpec

_CLEARLY_ABOVE = 2.0
"""Times the divergence that is allowed at which one draw of the noise is enough to say no."""

_MOSTLY = 0.95
"""A plan that costs less than this share of its budget is said to leave some of it."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A plan, or a uniform setting, simulated as a whole.

    Attributes:
        name: in words.
        conversions: ADC conversions for one image.
        energy_j: energy for one image; None where unknown.
        chosen_on: top-1 in percent on the images it was chosen on.
        reported_on: top-1 on the others, with its 95 % interval; what counts.
        divergence: of the class probabilities there from those of the ideal integer model, in nats.
    """

    name: str
    conversions: int
    energy_j: float | None
    chosen_on: float
    reported_on: Estimate
    divergence: float


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
    fixed = findings.fixed_cost(goal.cost)
    base = bench.convert(bench.spec)
    trials = Trials(bench, findings, ideal_scores(base, bench.choosing), fixed, tell)
    budget = _budget(goal, base.report)
    floor = goal.floor if goal.drop is None else trials.ideal - goal.drop
    uniform = promising(menus, [(position,) * len(findings.sites) for position in range(len(findings.options))])
    notes = findings.dropped
    if floor is not None:
        both = trials.floor(menus, uniform, floor, goal.cost)
        notes = (_words_of(both, trials), *notes)
        found, rival = _for_floor(menus, uniform, both, trials)
        if found is None:
            trials.refuse(menus, both, goal.cost)
        if budget is not None and found.cost + fixed > budget:
            unit = UNITS[goal.cost]
            message = f"the budget of {budget:.6g} {unit} cannot be met at {floor:.2f} %"
            raise PlanError(message, hint=f"the least found for that accuracy is {found.cost + fixed:.6g} {unit}")
    elif budget is not None:
        likely = _likely(menus, [choice for choice in uniform if cost_of(menus, choice) + fixed <= budget])
        found = for_budget(menus, budget, UNITS[goal.cost], trials.confirm, likely, fixed)
        rivals = (Candidate(choice, cost_of(menus, choice), trials.confirm(choice)) for choice in likely)
        rival = min(rivals, key=lambda one: one.outcome.divergence, default=None)
    else:
        raise AssertionError(goal)
    chosen = findings.chosen(found.choice)
    total = damage_of(menus, found.choice) or 1.0
    damage = {
        site: menu[position].damage / total
        for site, menu, position in zip(findings.sites, menus, found.choice, strict=True)
    }
    tell("measuring the result")
    spec = bench.spec_with(chosen, {site: _why(findings, site, chosen[site], damage[site]) for site in chosen})
    measure = partial(_measured, bench, ideal_scores(base, bench.reporting))
    measured = [measure("plan", bench.convert(spec), found.outcome.accuracy)]
    if rival is not None:
        option = findings.options[rival.choice[0]]
        same = bench.convert(bench.spec_with(findings.chosen(rival.choice)))
        measured.append(measure(f"best uniform: {option}", same, rival.outcome.accuracy))
    own = fmean(accuracy_of(base, bench.choosing, trials.seeds))
    measured.append(measure("the spec as it is", base, own))
    notes += _remarks(found, rival, None if floor is not None else budget, fixed)
    return Plan(spec, chosen, damage, _goal_in_words(goal, budget, floor), tuple(measured), notes)


def _for_floor(
    menus: Sequence[Menu], uniform: Sequence[Choice], floor: Floor, trials: Trials
) -> tuple[Candidate | None, Candidate | None]:
    """Return the cheapest choice found that holds a floor, and the cheapest uniform one."""
    found = for_floor(menus, floor, trials.first, trials.confirm)
    rival = _cheapest(menus, uniform, floor, trials)
    if rival is not None and found is not None and rival.cost <= found.cost:  # the bisection stopped too early
        below = [choice for choice in frontier(menus) if cost_of(menus, choice) < rival.cost]
        found = cheaper(menus, below, floor, trials.first, trials.confirm)
    return found or rival or trials.cheapest(menus, floor), rival


def _cheapest(menus: Sequence[Menu], choices: Sequence[Choice], floor: Floor, trials: Trials) -> Candidate | None:
    """Return the cheapest confirmed one of some choices."""
    for choice in sorted(choices, key=lambda one: (cost_of(menus, one), damage_of(menus, one))):
        if trials.once(choice).divergence <= _CLEARLY_ABOVE * floor.divergence:
            outcome = trials.confirm(choice)
            if floor.holds(outcome):
                return Candidate(choice, cost_of(menus, choice), outcome)
    return None


def _remarks(found: Candidate, rival: Candidate | None, budget: float | None, fixed: float) -> tuple[str, ...]:
    """Return what is surprising about a plan: uniform settings that fail or win, a budget that is not used."""
    words = []
    if rival is None:
        words.append("no uniform setting reaches the goal")
    elif rival.choice == found.choice:
        words.append("the plan is the best uniform setting: nothing was gained by telling sites apart")
    if budget is not None and found.cost + fixed < _MOSTLY * budget:
        words.append(
            f"{1 - (found.cost + fixed) / budget:.0%} of the budget is left: "
            "nothing that was simulated within it does less damage"
        )
    return tuple(words)


def _words_of(floor: Floor, trials: Trials) -> str:
    return (
        f"by {trials.count} simulations, an accuracy of {floor.accuracy:.2f} % corresponds to a KL divergence of "
        f"{floor.divergence:.3g} nats from the ideal integer model; a plan must meet both limits"
    )


def _likely(menus: Sequence[Menu], choices: Sequence[Choice]) -> list[Choice]:
    """Return the few choices of least predicted damage."""
    return sorted(choices, key=lambda choice: damage_of(menus, choice))[:3]


def _budget(goal: Goal, report: MappingReport) -> float | None:
    if goal.share is None:
        return goal.budget
    own = report.totals["energy_j" if goal.cost == "energy" else "reads"]
    if own is None:
        message = "the spec does not say enough for its own energy"
        raise UsageError(message, hint="macros.*.cost says what energy follows from")
    return goal.share * float(own)


def _goal_in_words(goal: Goal, budget: float | None, floor: float | None) -> str:
    words = [] if budget is None else [f"at most {budget:.6g} {goal.cost}"]
    words += [] if floor is None else [f"top-1 of at least {floor:.2f} %"]
    return " and ".join(words)


def _why(findings: Findings, site: str, option: Option, share: float) -> str:
    reads = findings.conversions[findings.options.index(option)][site]
    return f"{site} {reads:,} conversions for {share:.0%} of the predicted damage"


def _measured(bench: Workbench, reference: Tensor, name: str, converted: ConvertedModel, chosen_on: float) -> Measured:
    seeds = more_draws(bench.seeds, 1_000_000, 2_000_000, 3_000_000)
    outcomes = outcomes_of(converted, bench.reporting, reference, seeds)
    shares = [one.accuracy for one in outcomes]
    images = len(bench.reporting)
    same = len(set(shares)) == 1  # no spread over draws; what is left is that of images
    estimate = estimate_over_images(round(shares[0] * images / 100), images) if same else estimate_over_seeds(shares)
    totals = converted.report.totals
    return Measured(name, totals["reads"], totals["energy_j"], chosen_on, estimate, mean_outcome(outcomes).divergence)
