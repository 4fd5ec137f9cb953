"""Choose the settings of every site, and compare the plan with settings that are the same everywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf
from statistics import fmean

from torch import Tensor

from asim_fx.converted import ConvertedModel
from asim_fx.errors import PlanError, UsageError
from asim_fx.exploration.choose import Candidate, cheaper, for_budget, for_floor, promising
from asim_fx.exploration.costs import amount
from asim_fx.exploration.findings import Findings, Tell, Workbench
from asim_fx.exploration.isotonic import ROUNDING, Floor, mean_outcome
from asim_fx.exploration.knapsack import Choice, Menu, cost_of, damage_of, frontier
from asim_fx.exploration.options import Goal, Option
from asim_fx.exploration.reasons import reasons
from asim_fx.exploration.scores import accuracy_among, accuracy_of, ideal_scores, outcomes_of
from asim_fx.exploration.trials import Trials, more_draws
from asim_fx.report.rows import MappingReport
from asim_fx.simulation.metrics import Estimate, estimate_of
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
        cost: what the goal counts: ``conversions`` or ``energy``.
        has_floor: whether the least cost was asked for; else it was the best accuracy.
        measured: the plan, the best uniform setting for the same goal where one was found, the spec as it is.
        ideal: top-1 of the ideal integer model on the images to report on.
        ideal_chosen_on: the same on the images to choose on, in percent.
        notes: what else must be said.
    """

    spec: HardwareSpec
    options: Mapping[str, Option]
    damage: Mapping[str, float]
    goal: str
    cost: str
    has_floor: bool
    measured: tuple[Measured, ...]
    ideal: Estimate
    ideal_chosen_on: float
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
    floor = _floor(goal, trials.ideal)
    uniform = promising(menus, [(position,) * len(findings.sites) for position in range(len(findings.options))])
    notes = findings.dropped
    if floor is not None:
        both = trials.floor(menus, uniform, floor, goal.cost)
        notes = (_words_of(both, trials), *notes)
        found, rival = _for_floor(menus, uniform, both, trials)
        if found is None:
            trials.refuse(menus, both, goal.cost)
        if budget is not None and found.cost + fixed > budget:
            message = f"the budget of {amount(budget, goal.cost)} cannot be met at {floor:.2f} %"
            least = amount(found.cost + fixed, goal.cost)
            raise PlanError(message, hint=f"the least found for that accuracy is {least}")
    elif budget is not None:
        likely = _likely(menus, [choice for choice in uniform if cost_of(menus, choice) + fixed <= budget])
        found = for_budget(menus, budget, goal.cost, trials.confirm, likely, fixed)
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
    spec = bench.spec_with(chosen, reasons(menus, found.choice, findings.options, goal.cost))
    reference = ideal_scores(base, bench.reporting)
    measure = partial(_measured, bench, reference)
    measured = [measure("plan", bench.convert(spec), found.outcome.accuracy)]
    if rival is not None:
        option = findings.options[rival.choice[0]]
        same = bench.convert(bench.spec_with(findings.chosen(rival.choice)))
        measured.append(measure(f"best uniform: {option}", same, rival.outcome.accuracy))
    own = fmean(accuracy_of(base, bench.choosing, trials.seeds))
    measured.append(measure("the spec as it is", base, own))
    ideal = estimate_of([accuracy_among(reference, bench.reporting.labels)], len(bench.reporting))
    cheapest = _at_the_cheapest(menus, found.choice, goal) if floor is not None else ()
    notes += cheapest or _remarks(found, rival, None if floor is not None else budget, fixed)
    notes += _on_the_other_images(goal, measured[0].reported_on, ideal.mean)
    return Plan(
        spec,
        chosen,
        damage,
        _goal_in_words(goal, budget, floor),
        goal.cost,
        floor is not None,
        tuple(measured),
        ideal,
        trials.ideal,
        (*_ideal_remarks(goal, trials.ideal), *notes),
    )


def _floor(goal: Goal, ideal: float) -> float | None:
    """Return the least top-1 in percent that a goal asks for, not below 0; None where it asks for none."""
    return goal.floor if goal.drop is None else max(0.0, ideal - goal.drop)


def _ideal_remarks(goal: Goal, ideal: float) -> tuple[str, ...]:
    if goal.drop is None or ideal > goal.drop:
        return ()
    return (
        f"the ideal integer model has {ideal:.2f} % on the images to choose on, so that every plan is within "
        f"{_points(goal.drop)} of it; check the weights and the labels",
    )


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


def _at_the_cheapest(menus: Sequence[Menu], choice: Choice, goal: Goal) -> tuple[str, ...]:
    """Say where the options end before the floor does: then a plan has nothing to choose."""
    ends = all(
        menu[position].cost == min(item.cost for item in menu) for menu, position in zip(menus, choice, strict=True)
    )
    if not ends or len(menus[0]) < 2:
        return ()
    energy = "" if goal.cost == "energy" else ", or --minimise energy, which counts digital work too"
    return (
        "every site has the cheapest option that was offered and the floor holds, so there was nothing to choose. "
        "Offer larger --encodings (such as 8) or fewer --hybrid levels, or ask for the best accuracy within a "
        f"--budget{energy}",
    )


def _on_the_other_images(goal: Goal, plan: Estimate, ideal: float) -> tuple[str, ...]:
    """Say where a plan misses its floor on the images to report on."""
    if goal.drop is not None:
        wanted, words = ideal - goal.drop, f"{_points(goal.drop)} below the {ideal:.2f} % of the ideal integer model"
    elif goal.floor is not None:
        wanted, words = goal.floor, "as asked for"
    else:
        return ()
    if plan.mean >= wanted - ROUNDING:
        return ()
    inside = "lies within" if wanted <= plan.high else "lies above"
    return (
        f"the plan misses its floor on the images to report on: top-1 is {plan.mean:.2f} %, the floor is "
        f"{wanted:.2f} % ({words}). The floor {inside} the 95 % interval of the plan, "
        f"{plan.low:.2f} to {plan.high:.2f} %",
    )


def _points(drop: float) -> str:
    return "1 point" if drop == 1 else f"{drop:g} points"


def _words_of(floor: Floor, trials: Trials) -> str:
    if floor.divergence == inf:
        return (
            f"by the {trials.count} simulations, no setting that was tried falls below {floor.accuracy:.2f} %, "
            "so a plan must meet this accuracy alone"
        )
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
    words = [] if budget is None else [f"at most {amount(budget, goal.cost)}"]
    words += [] if floor is None else [f"top-1 of at least {floor:.2f} %"]
    return " and ".join(words)


def _measured(bench: Workbench, reference: Tensor, name: str, converted: ConvertedModel, chosen_on: float) -> Measured:
    seeds = more_draws(bench.seeds, 1_000_000, 2_000_000, 3_000_000)
    outcomes = outcomes_of(converted, bench.reporting, reference, seeds)
    estimate = estimate_of([one.accuracy for one in outcomes], len(bench.reporting))
    totals = converted.report.totals
    return Measured(name, totals["reads"], totals["energy_j"], chosen_on, estimate, mean_outcome(outcomes).divergence)
