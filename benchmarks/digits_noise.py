"""Accuracy of the digits models against noise, with and without what helps: `python -m benchmarks.digits_noise`.

Prints the README's table in Markdown. Takes about an hour on one core; --results keeps every finished batch, so that a
run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

import asim_fx
from asim_fx.cli.simulate import parse_seeds
from asim_fx.converted import ConvertedModel
from asim_fx.data import DataSource, open_data
from asim_fx.models import BuiltModel, build_model
from asim_fx.simulation import SimulationResult, simulate
from asim_fx.simulation.metrics import Estimate

MODELS = ("digits_resnet", "digits_vit")


@dataclass(frozen=True)
class Chip:
    """One row of the table.

    Attributes:
        adc_bits: resolution of the converters, on 255 rows.
        noise_percent: random noise, in percent of full scale.
    """

    adc_bits: int
    noise_percent: float

    @property
    def label(self) -> str:
        """Name of the row."""
        lsb = self.noise_percent / 100 * (2**self.adc_bits - 1)
        return f"{self.adc_bits} bits, {self.noise_percent:g} % ({lsb:.2g} LSB)"


CHIPS = (Chip(8, 0.0), Chip(8, 0.1), Chip(8, 0.2), Chip(8, 0.4), Chip(6, 0.05))

METHODS: Mapping[str, tuple[str, ...]] = {
    "plain": (),
    "a scale a channel": ("defaults.weight_scale=channel",),
    "HCiM, 3 levels": ("defaults.hybrid.levels=3",),
    "vote, 3 levels x 5, mode": ("defaults.vote.levels=3", "defaults.vote.samples=5", "defaults.vote.how=mode"),
    "vote, 3 levels x 5, median": ("defaults.vote.levels=3", "defaults.vote.samples=5", "defaults.vote.how=median"),
}


def convert(built: BuiltModel, chip: Chip, method: tuple[str, ...]) -> ConvertedModel:
    overrides = (
        f"macros.m.adc.bits={chip.adc_bits}",
        f"macros.m.noise.random_percent_fs={chip.noise_percent}",
        "macros.m.noise.nonlinear_percent_fs=0",
        *method,
    )
    spec = asim_fx.load_spec("generic-255x8b", overrides)
    size = built.source.input_size or ()
    return asim_fx.convert(built.model, spec, torch.randn(2, *size), source=built.source)


def measure(name: str, chip: Chip, method: str, data: DataSource, options: argparse.Namespace) -> SimulationResult:
    built = build_model(f"asim:{name}")
    results = None
    if options.results is not None:
        words = f"{name}-{chip.adc_bits}b-{chip.noise_percent:g}-{method}"
        results = options.results / f"{words.replace(', ', '-').replace(' ', '-')}.jsonl"
    converted = convert(built, chip, METHODS[method])
    # Without noise every seed gives the same, so one is enough.
    seeds = parse_seeds(options.seeds)[: None if chip.noise_percent else 1]
    print(f"{name}, {chip.label}, {method}", file=sys.stderr, flush=True)
    return simulate(
        converted, data, seeds=seeds, baseline=True, results_file=results, resume=True, device=options.device
    )


def table(name: str, options: argparse.Namespace) -> str:
    data = open_data("digits", config=build_model(f"asim:{name}").source.data_config, num_samples=options.num_samples)
    lines: list[str] = []
    for chip in CHIPS:
        results = [measure(name, chip, method, data, options) for method in METHODS]
        if not lines:
            lines = heading(name, results[0])
        lines.append(f"| {chip.label} | " + " | ".join(cell(result.variants[-1].top1) for result in results) + " |")
    return "\n".join(lines)


def heading(name: str, result: SimulationResult) -> list[str]:
    exact = {variant.variant: variant.top1.mean for variant in result.variants}
    return [
        f"`asim:{name}`: float {exact['float']:.1f} %, ideal 8-bit integers {exact['integer']:.1f} %",
        "",
        "| ADC, random noise | " + " | ".join(METHODS) + " |",
        "|---" * (len(METHODS) + 1) + "|",
    ]


def cell(estimate: Estimate) -> str:
    half = (estimate.high - estimate.low) / 2
    return f"{estimate.mean:.1f}" if "images" in estimate.interval else f"{estimate.mean:.1f} ± {half:.1f}"


def machine() -> str:
    return f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--seeds", default="0:3", help="0:3 is 0, 1, 2")
    parser.add_argument("--num-samples", type=int, help="the first so many of the 360 test images")
    parser.add_argument("--results", type=Path, help="folder for finished batches; a second run goes on with them")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    for name in options.models:
        print(table(name, options), end="\n\n", flush=True)
    images = options.num_samples or 360
    print(f"Top-1 in % on {images} test images, mean of seeds {options.seeds} ± half the 95 % interval (Student t).")
    print("255 rows, 8-bit weights and activations, bit-serial; the stem is an exact integer layer.")
    print(f"Made by `python -m benchmarks.digits_noise` on {machine()}.")


if __name__ == "__main__":
    main()
