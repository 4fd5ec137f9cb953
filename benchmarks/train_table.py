"""What training on the hardware's terms gains, on the digits: `OMP_NUM_THREADS=1 python -m benchmarks.train_table`.

Float, post-training quantisation, quantisation-aware and noise-aware training of a small ResNet, or of the digits ViT
(`--net vit`), compared in pairs over 5-fold cross-validation x 3 seeds. `--results FILE` keeps every finished cell, so
that a stopped run goes on. The settings under noise were chosen on other images, by `benchmarks.nat_recipe`.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, variance
from typing import Any

import torch
from lightning_fabric import Fabric
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from torch import Tensor, nn

from asim_fx.converted import ConvertedModel
from asim_fx.digits import MEAN, PIXEL_MAX, STD, load_digits
from asim_fx.digits.models import DigitsResNet, digits_vit
from asim_fx.nn import Fidelity
from asim_fx.simulation.metrics import student_t95
from asim_fx.spec import HardwareSpec, load_spec
from asim_fx.training.form import trainable_form
from asim_fx.training.noise import set_trim_noise
from asim_fx.training.objective import criterion_for
from asim_fx.training.order import epoch_batches
from asim_fx.training.recipe import Mode, TrainingRecipe
from asim_fx.training.step import Part, Trainee, update
from benchmarks.machine import machine

FOLDS = 5
BITS = (8, 6, 4, 3)
QAT_BITS = (4, 3)
TUNING_LR = 1e-3


@dataclass(frozen=True)
class Net:
    """A network of the table, and how it is trained.

    Attributes:
        build: makes it, with random weights.
        float_epochs: of the float model, from these.
        float_lr: its learning rate.
        noise_percent: random noise in % of full scale, at which the plain model falls.
        noisy: what is trained under this noise; the settings of NAT are the best of benchmarks.nat_recipe.
    """

    build: Callable[[], nn.Module]
    float_epochs: int
    float_lr: float
    noise_percent: float
    noisy: Mapping[str, Mapping[str, Any]]


NETS = {
    "resnet": Net(
        build=lambda: DigitsResNet(widths=(16, 32)),
        float_epochs=12,
        float_lr=4e-3,
        noise_percent=0.2,
        noisy={
            "qat noisy": {"mode": "qat", "lr": 1e-2},
            "nat noisy": {"mode": "nat", "lr": 1e-2, "trim_factor": 2.0},
            "nat additive noisy": {"mode": "nat", "lr": 4e-3, "trim_additive": True},
            "hardware noisy": {"mode": "hardware", "lr": 4e-3},
        },
    ),
    # Its simulated reads take hours to train through: left to the ResNet.
    "vit": Net(
        build=digits_vit,
        float_epochs=40,
        float_lr=2e-3,
        noise_percent=0.1,
        noisy={
            "qat noisy": {"mode": "qat", "lr": 2e-3},
            "nat noisy": {"mode": "nat", "lr": 2e-3},
            "nat additive noisy": {"mode": "nat", "lr": 2e-3, "trim_additive": True},
        },
    ),
}
FORWARD: Mapping[Mode, Fidelity] = {"float": "float", "qat": "proxy", "nat": "proxy", "hardware": "hardware"}


@dataclass(frozen=True)
class Budget:
    """Epochs of a table; those of the float model are its network's, but for a quick look."""

    float_epochs: int | None = None
    tuning_epochs: int = 5
    noisy_epochs: int = 20
    folds: int = FOLDS
    seeds: int = 3


QUICK = Budget(float_epochs=3, tuning_epochs=1, noisy_epochs=1, folds=2, seeds=1)


@dataclass(frozen=True)
class Data:
    """One split of the digits."""

    images: Tensor
    labels: Tensor
    test_images: Tensor
    test_labels: Tensor


def all_digits() -> tuple[Tensor, Tensor]:
    parts = [load_digits("train"), load_digits("test")]
    images = torch.cat([torch.from_numpy(part.images) for part in parts]).float()[:, None] / PIXEL_MAX
    return (images - MEAN) / STD, torch.cat([torch.from_numpy(part.labels) for part in parts]).long()


def fold_of(images: Tensor, labels: Tensor, fold: int, folds: int = FOLDS) -> Data:
    """Return a fold; every class is spread evenly over them."""
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    order = order[torch.argsort(labels[order], stable=True)]
    test = order[torch.arange(len(order)) % folds == fold]
    train = order[torch.arange(len(order)) % folds != fold]
    return Data(images[train], labels[train], images[test], labels[test])


def spec_of(bits: int, noise: float = 0.0) -> HardwareSpec:
    return load_spec(
        "generic-255x8b",
        (
            f"defaults.weight_bits={bits}",
            f"defaults.input_bits={bits}",
            f"macros.m.noise.random_percent_fs={noise}",
            "macros.m.noise.nonlinear_percent_fs=0",
        ),
    )


def training_form(net: Net, spec: HardwareSpec) -> ConvertedModel:
    return trainable_form(net.build().eval(), spec, (torch.randn(2, 1, 8, 8),), name="digits")


def fit(net: ConvertedModel, data: Data, recipe: TrainingRecipe, fabric: Fabric, classes: int) -> None:
    """Train a net in place; images are not augmented."""
    batches = epoch_batches(len(data.labels), recipe.batch_size, recipe.seed, 0)
    optimizer = create_optimizer_v2(net.body, opt=recipe.opt, lr=recipe.lr, weight_decay=recipe.weight_decay)
    scheduler, _ = create_scheduler_v2(
        optimizer, sched="cosine", num_epochs=recipe.epochs, step_on_epochs=False, updates_per_epoch=len(batches)
    )
    net.set_fidelity(FORWARD[recipe.mode])
    trainee = Trainee(net, optimizer, criterion_for(recipe), recipe, fabric, classes)
    for epoch in range(recipe.epochs):
        for number, chosen in enumerate(epoch_batches(len(data.labels), recipe.batch_size, recipe.seed, epoch)):
            step = epoch * len(batches) + number
            scheduler.step_update(step)
            update(trainee, [Part(0, 0, data.images[chosen], data.labels[chosen])], len(chosen), step)


@torch.no_grad()
def accuracy(net: ConvertedModel, data: Data, fidelity: Fidelity, seed: int) -> float:
    """Return top-1 in percent, by batches of 64."""
    net.eval()
    net.set_fidelity(fidelity)
    right = 0
    for number, images in enumerate(data.test_images.split(64)):
        net.reseed(1000 + seed, first_sample=64 * number)
        right += int((net(images).argmax(1) == data.test_labels[64 * number : 64 * number + 64]).sum())
    return 100 * right / len(data.test_labels)


def run_cell(
    net: Net, forms: Mapping[str, ConvertedModel], data: Data, seed: int, budget: Budget, fabric: Fabric
) -> dict[str, float]:
    """Return the accuracy of every variant, all from one float model; ``forms`` has one for each hardware."""
    plain = forms["8"]
    base = float_recipe(net, seed, budget.float_epochs)
    trained = from_scratch(net, plain, data, base, fabric)
    found = {"float": accuracy(plain, data, "float", seed)}

    def start(name: str) -> ConvertedModel:
        forms[name].body.load_state_dict(trained)
        return forms[name]

    for bits in BITS:
        found[f"ptq{bits}"] = accuracy(start(str(bits)), data, "integer", seed)
    found["plain noisy"] = accuracy(start("noisy"), data, "hardware", seed)
    for bits in QAT_BITS:
        form = start(str(bits))
        fit(form, data, replace(base, mode="qat", epochs=budget.tuning_epochs, lr=TUNING_LR), fabric, 10)
        found[f"qat{bits}"] = accuracy(form, data, "integer", seed)
    for name, settings in net.noisy.items():
        recipe = replace(base, epochs=budget.noisy_epochs, **settings)
        found[name] = tuned_under_noise(start("noisy"), data, recipe, fabric)
    return found


def float_recipe(net: Net, seed: int, epochs: int | None = None) -> TrainingRecipe:
    return TrainingRecipe(mode="float", epochs=epochs or net.float_epochs, lr=net.float_lr, parts=1, seed=seed)


def from_scratch(
    net: Net, form: ConvertedModel, data: Data, recipe: TrainingRecipe, fabric: Fabric
) -> dict[str, Tensor]:
    """Train a network in float from random weights, and return what it became."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        fresh = net.build().state_dict()
    form.body.load_state_dict(fresh)
    fit(form, data, recipe, fabric, 10)
    return {name: tensor.clone() for name, tensor in form.body.state_dict().items()}


def tuned_under_noise(net: ConvertedModel, data: Data, recipe: TrainingRecipe, fabric: Fabric) -> float:
    """Tune a trained net in place and return its top-1 in percent by simulated reads."""
    set_trim_noise(net, data.images[:64], recipe)
    fit(net, data, recipe, fabric, 10)
    return accuracy(net, data, "hardware", recipe.seed)


def interval(differences: Sequence[float], folds: int) -> tuple[float, float, float]:
    """Return mean and 95 % interval of paired differences over folds x seeds.

    Cells share images, so the variance of the mean is that of Nadeau and Bengio (Machine Learning 52, 2003): (1/n +
    test/train images) times the sample variance; Student t with n - 1 degrees of freedom.
    """
    count = len(differences)
    spread = math.sqrt((1 / count + 1 / (folds - 1)) * variance(differences)) if count > 1 else math.inf
    half = student_t95(count - 1) * spread if count > 1 else math.inf
    mean = fmean(differences)
    return mean, mean - half, mean + half


WORDS = {
    "float": "float",
    **{f"ptq{bits}": f"{bits} bits, after training" for bits in BITS},
    **{f"qat{bits}": f"{bits} bits, QAT" for bits in QAT_BITS},
    "plain noisy": "8 bits, noisy reads, plain model",
    "qat noisy": "8 bits, noisy reads, QAT (control)",
    "nat noisy": "8 bits, noisy reads, NAT",
    "nat additive noisy": "8 bits, noisy reads, NAT with additive noise",
    "hardware noisy": "8 bits, noisy reads, through the hardware",
}


PAIRS = (
    ("qat4", "ptq4"),
    ("qat3", "ptq3"),
    ("nat noisy", "plain noisy"),
    ("nat noisy", "qat noisy"),
    ("nat additive noisy", "nat noisy"),
    ("hardware noisy", "nat noisy"),
    ("hardware noisy", "nat additive noisy"),
)
"""Compared with each other."""


def table(cells: Sequence[Mapping[str, float]], folds: int, noise: float) -> str:
    lines = ["| model | top-1 in % | less than float, 95 % interval |", "|---|---|---|"]
    measured = {name: words for name, words in WORDS.items() if name in cells[0]}
    for name, words in measured.items():
        mean, low, high = interval([cell[name] - cell["float"] for cell in cells], folds)
        against = "" if name == "float" else f"{mean:+.2f} ({low:+.2f} to {high:+.2f})"
        lines.append(f"| {words} | {fmean(cell[name] for cell in cells):.2f} | {against} |")
    lines.append("")
    for better, worse in PAIRS:
        if better in measured and worse in measured:
            mean, low, high = interval([cell[better] - cell[worse] for cell in cells], folds)
            lines.append(f"- {WORDS[better]} over {WORDS[worse]}: {mean:+.2f} points ({low:+.2f} to {high:+.2f})")
    for name in measured.keys() & {"nat noisy", "nat additive noisy", "hardware noisy"}:
        halves = [cell[name] - (cell["float"] + cell["plain noisy"]) / 2 for cell in cells]
        mean, low, high = interval(halves, folds)
        lost = fmean(cell["float"] - cell["plain noisy"] for cell in cells)
        share = fmean(cell[name] - cell["plain noisy"] for cell in cells) / lost if lost else math.nan
        verdict = "more than half" if low > 0 else "not shown to be half"
        lines.append(
            f"- {WORDS[name]} recovers {share:.0%} of what noise costs; beyond half by {mean:+.2f} points "
            f"({low:+.2f} to {high:+.2f}): {verdict}"
        )
    return "\n".join([*lines, "", f"Random noise {noise:g} % of full scale, {len(cells)} cells."])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--net", choices=NETS, default="resnet")
    parser.add_argument("--quick", action="store_true", help="2 folds, 1 seed, few epochs")
    parser.add_argument("--noise", type=float, help="in percent of full scale")
    parser.add_argument("--results", type=Path, help="file of finished cells")
    options = parser.parse_args()
    budget = QUICK if options.quick else Budget()
    net = NETS[options.net]
    noise = net.noise_percent if options.noise is None else options.noise
    fabric = Fabric(accelerator="cpu", devices=1)
    specs = {str(bits): spec_of(bits) for bits in BITS} | {"noisy": spec_of(8, noise)}
    forms = {name: training_form(net, spec) for name, spec in specs.items()}
    images, labels = all_digits()
    done = {}
    if options.results is not None and options.results.exists():
        done = {(row["fold"], row["seed"]): row["top1"] for row in map(json.loads, options.results.open())}
    for seed in range(budget.seeds):
        for fold in range(budget.folds):
            if (fold, seed) in done:
                continue
            started = time.perf_counter()
            done[fold, seed] = run_cell(net, forms, fold_of(images, labels, fold), seed, budget, fabric)
            record = {"fold": fold, "seed": seed, "top1": done[fold, seed]}
            if options.results is not None:
                with options.results.open("a") as file:
                    file.write(json.dumps(record) + "\n")
            print(f"{record} {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    print(table(list(done.values()), FOLDS, noise))
    print(f"\nMade by `OMP_NUM_THREADS=1 python -m benchmarks.train_table --net {options.net}` on {machine()}.")


if __name__ == "__main__":
    main()
