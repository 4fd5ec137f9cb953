"""Automatic plans against uniform settings that do the same damage: what telling sites apart saves, whatever the floor.

    OMP_NUM_THREADS=1 python -m benchmarks.plan_at_equal_damage digits_vit equal.jsonl

Names and files are those of `benchmarks.plan_vs_uniform`. On few images a plan and a uniform setting may hold a floor
of accuracy with different margins. Here each uniform setting is its own goal: the plan is the cheapest one found on the
frontier whose class probabilities move no further, on the images to choose on, over three draws of the noise. Both
choose among the same options. Both are then measured on other images with other draws. One line of JSON for each pair
and seed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from asim_fx.cli.work.exploring import open_workbench
from asim_fx.exploration.findings import Findings, Workbench, measure_sites
from asim_fx.exploration.isotonic import Outcome, mean_outcome
from asim_fx.exploration.knapsack import Choice, cost_of, frontier
from asim_fx.exploration.options import Option
from asim_fx.exploration.scores import ideal_scores, outcomes_of
from asim_fx.exploration.trials import Trials, more_draws
from benchmarks.plan_vs_uniform import CHOICES, MOST_IMAGES, PROBE, question

UNIFORM = (
    Option(2, 1, 3, 3),
    Option(1, 1, 0, 1),
    Option(1, 1, 2, 3),
    Option(1, 1, 3, 3),
    Option(1, 1, 4, 3),
)
"""Around a point of accuracy or less below ideal: voted two-bit reads, bit-serial ones, voted bit-serial ones."""
SEEDS = (0, 1, 2)


def no_worse(trials: Trials, choices: Sequence[Choice], most: float) -> Choice | None:
    """Return the first choice of a frontier within a divergence: by bisection with one draw, then up until all hold."""
    low, high = 0, len(choices) - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if trials.first(choices[middle]).divergence <= most else (middle + 1, high)
    return next((choice for choice in choices[low:] if trials.confirm(choice).divergence <= most), None)


def reported(bench: Workbench, chosen: Mapping[str, Option], reference: torch.Tensor) -> Outcome:
    """Return what a setting gives on the images that nothing was chosen on, with draws that nothing was chosen with."""
    draws = more_draws(bench.seeds, 1_000_000, 2_000_000, 3_000_000)
    return mean_outcome(outcomes_of(bench.convert(bench.spec_with(chosen)), bench.reporting, reference, draws))


def compare(name: str, bench: Workbench, findings: Findings, results: Path) -> None:
    """Append what each uniform setting and the plan in its place cost and give."""
    base = bench.convert(bench.spec)
    trials = Trials(bench, findings, ideal_scores(base, bench.choosing), 0.0, lambda _: None)
    reference = ideal_scores(base, bench.reporting)
    menus = findings.menus("conversions")
    for option in UNIFORM:
        same = (findings.options.index(option),) * len(findings.sites)
        plan = no_worse(trials, frontier(menus), trials.confirm(same).divergence)
        line: dict[str, object] = {"net": name, "seed": bench.seeds[0], "uniform": str(option)}
        for what, choice in (("uniform", same), ("plan", plan)):
            if choice is not None:
                found = reported(bench, findings.chosen(choice), reference)
                line |= {
                    f"{what}_conversions": int(cost_of(menus, choice)),
                    f"{what}_top1": found.accuracy,
                    f"{what}_divergence": found.divergence,
                    f"{what}_divergence_chosen_on": trials.confirm(choice).divergence,
                }
        if plan is not None:
            line["saved"] = 1 - cost_of(menus, plan) / cost_of(menus, same)
        with results.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)


def main() -> None:
    torch.set_num_threads(1)
    name, results, *files = sys.argv[1:]
    bench = open_workbench(*question(name, files))
    bench = replace(
        bench, choosing=bench.choosing.spread(MOST_IMAGES), reporting=bench.reporting.spread(2 * MOST_IMAGES)
    )
    findings = measure_sites(bench, CHOICES, PROBE)
    for seed in SEEDS:
        compare(name, replace(bench, seeds=(seed,)), findings, Path(results))


if __name__ == "__main__":
    main()
