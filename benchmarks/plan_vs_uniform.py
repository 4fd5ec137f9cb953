"""Automatic plans against the best setting that is the same everywhere, at equal accuracy.

    OMP_NUM_THREADS=1 python -m benchmarks.plan_vs_uniform digits_resnet plans.jsonl
    OMP_NUM_THREADS=1 python -m benchmarks.plan_vs_uniform digits_vit plans.jsonl
    OMP_NUM_THREADS=1 python -m benchmarks.plan_vs_uniform mnist_net plans.jsonl mnist_net.safetensors mnist-images
    OMP_NUM_THREADS=1 python -m benchmarks.plan_vs_uniform resnet20_cifar plans.jsonl resnet20.safetensors CIFAR10/test
    OMP_NUM_THREADS=1 python -m benchmarks.plan_vs_uniform resnet20_nat plans.jsonl r20_nat.safetensors CIFAR10/test

mnist_net needs what `python -m benchmarks.mnist_net` writes, resnet20_cifar trained weights and a folder of CIFAR-10
images with a sub-folder for each class, of which it takes the first in turn from each; resnet20_nat the same network
trained with bounds and noise (docs/reproduction.md). Each prints and appends one line
of JSON for each seed: the seed draws the noise that the plan is chosen with, and other noise that the result is
reported with.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from asim_fx.cli.work.exploring import DataOptions, Question, module_path, open_workbench
from asim_fx.cli.work.planning import ModelOptions
from asim_fx.errors import PlanError
from asim_fx.exploration.findings import Findings, Workbench, measure_sites
from asim_fx.exploration.options import Choices, Goal
from asim_fx.exploration.planner import make_plan
from asim_fx.exploration.scores import accuracy_of
from asim_fx.spec import load_spec

NOISE = {"digits_resnet": 0.15, "digits_vit": 0.08, "mnist_net": 0.08, "resnet20_cifar": 0.08, "resnet20_nat": 0.04}
"""Random noise in % of full scale: enough that settings matter."""
CHOICES = Choices(
    encodings=(1, 2, 3, 4), hybrids=(0, 1), votes=((0, 1), (1, 3), (2, 3), (3, 3), (4, 3), (5, 3), (6, 3))
)
DROP = 1.0
"""Points of top-1 below the ideal integer model."""
SEEDS = (0, 1, 2)
PROBE = 128
"""Images to measure single sites with."""
MOST_IMAGES, FEW_IMAGES, RANKED = 180, 200, 12


def question(name: str, files: list[str]) -> tuple[Question, str | None]:
    """Return what is measured, and the part of the data to choose on."""
    spec = load_spec("generic-255x8b", [f"macros.m.noise.random_percent_fs={NOISE[name]}"])
    if name.startswith("digits"):
        return Question(f"asim:{name}", ModelOptions(), spec, DataOptions("digits", batch_size=90), (0,)), None
    options = ModelOptions(checkpoint=Path(files[0]))
    if name.startswith("resnet20"):
        if name == "resnet20_nat":
            options = ModelOptions(checkpoint=Path(files[0]), model_kwargs=("pact=True",))
        data = DataOptions(files[1], batch_size=50, num_samples=FEW_IMAGES, balanced=True)
        return Question("asim:resnet20_cifar", options, spec, data, (0,)), None
    data = DataOptions(files[1], batch_size=100)
    model = "benchmarks.mnist_net:mnist_net"
    return Question(model, options, spec, data, (0,), path=module_path()), "choose"


def spearman(one: list[float], other: list[float]) -> float:
    """Return the rank correlation; equal values share their mean rank."""

    def ranks(values: list[float]) -> np.ndarray:
        array = np.array(values)
        return np.array([(array < value).sum() + ((array == value).sum() - 1) / 2 for value in array])

    return float(np.corrcoef(ranks(one), ranks(other))[0, 1])


def proxy_correlation(bench: Workbench, findings: Findings) -> float:
    """Return how well less predicted damage ranks plans by accuracy, over random plans of all options."""
    menus = findings.menus("conversions")
    generator = np.random.default_rng(0)
    # Plans from the quietest to the noisiest: each site draws among the options around one rank of damage.
    damages, accuracies = [], []
    for level in np.linspace(0, 1, RANKED):
        chosen = {}
        damage = 0.0
        for site, menu in zip(findings.sites, menus, strict=True):
            ranked = sorted(range(len(menu)), key=lambda place: menu[place].damage)
            place = ranked[int(np.clip(round(level * (len(menu) - 1) + generator.integers(-2, 3)), 0, len(menu) - 1))]
            chosen[site], damage = findings.options[place], damage + menu[place].damage
        damages.append(damage)
        accuracies.append(accuracy_of(bench.convert(bench.spec_with(chosen)), bench.choosing, (7,))[0])
    return spearman(damages, [-accuracy for accuracy in accuracies])


def main() -> None:
    torch.set_num_threads(1)
    name, results, *files = sys.argv[1:]
    asked, split = question(name, files)
    bench = open_workbench(asked, split)
    bench = replace(
        bench, choosing=bench.choosing.spread(MOST_IMAGES), reporting=bench.reporting.spread(2 * MOST_IMAGES)
    )
    started = time.perf_counter()
    findings = measure_sites(bench, CHOICES, PROBE)
    print(
        f"{name}: {len(findings.sites)} sites, {len(findings.options)} options, {time.perf_counter() - started:.0f} s"
    )
    for seed in SEEDS:
        try:
            plan = make_plan(replace(bench, seeds=(seed,)), findings, Goal(drop=DROP))
        except PlanError as error:
            print(f"seed {seed}: {error}", flush=True)
            continue
        own, *others = plan.measured
        line = {
            "net": name,
            "seed": seed,
            "goal": plan.goal,
            "distinct_settings": len(set(plan.options.values())),
            "measured": [
                {
                    "name": one.name,
                    "conversions": one.conversions,
                    "top1": one.reported_on.mean,
                    "divergence": one.divergence,
                    "chose": one.chosen_on,
                }
                for one in (own, *others)
            ],
        }
        with Path(results).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)
    print(json.dumps({"net": name, "spearman": proxy_correlation(bench, findings)}), flush=True)


if __name__ == "__main__":
    main()
