"""What folding batch norms costs in accuracy on a chip: `OMP_NUM_THREADS=1 python -m benchmarks.folding`.

A folded norm scales the weights before they are quantised, channel by channel, so that one scale for the whole tensor
suits them less. Prints the table of docs/decisions/0012 in Markdown.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping

import torch

import asim_fx
from asim_fx.data import open_data
from asim_fx.models import build_model
from asim_fx.simulation import simulate
from benchmarks.machine import machine

MODEL = "asim:digits_resnet"
CHIPS: Mapping[str, tuple[str, ...]] = {
    "8-bit ADC, 0.2 % random noise": ("macros.m.noise.random_percent_fs=0.2",),
    "the same at 0.1 %, 2 bits a read": ("macros.m.noise.random_percent_fs=0.1", "defaults.input_encoding=2"),
    "6-bit ADC, no noise": ("macros.m.adc.bits=6", "macros.m.noise.random_percent_fs=0"),
    "4-bit weights and activations, ideal ADC": (
        "macros.m.adc.bits=ideal",
        "macros.m.noise.random_percent_fs=0",
        "defaults.weight_bits=4",
        "defaults.input_bits=4",
    ),
    "3-bit weights, 4-bit activations, ideal ADC": (
        "macros.m.adc.bits=ideal",
        "macros.m.noise.random_percent_fs=0",
        "defaults.weight_bits=3",
        "defaults.input_bits=4",
    ),
}
WAYS: Mapping[str, tuple[bool, str]] = {
    "folded": (True, "tensor"),
    "folded, a scale a channel": (True, "channel"),
    "kept": (False, "tensor"),
    "kept, a scale a channel": (False, "channel"),
}
"""Whether norms are folded, and what has a scale of its own."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num-samples", type=int)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    built = build_model(MODEL)
    data = open_data("digits", config=built.source.data_config, batch_size=60, num_samples=options.num_samples)
    size = built.source.input_size or ()
    print(f"| {MODEL} | {' | '.join(WAYS)} |\n|---|{'---|' * len(WAYS)}")
    for chip, overrides in CHIPS.items():
        cells = []
        for fold, scale in WAYS.values():
            words = ("macros.m.noise.nonlinear_percent_fs=0", f"defaults.weight_scale={scale}", *overrides)
            spec = asim_fx.load_spec("generic-255x8b", words)
            converted = asim_fx.convert(
                built.model, spec, torch.randn(2, *size), source=built.source, fold_batch_norm=fold
            )
            result = simulate(converted, data, seeds=tuple(range(options.seeds)), baseline=False, integer=False)
            cells.append(f"{result.variants[-1].top1.mean:.1f}")
        print(f"| {chip} | {' | '.join(cells)} |", flush=True)
    print(f"\nTop-1 in %, the mean over draws. Made by `python -m benchmarks.folding` on {machine()}.")


if __name__ == "__main__":
    main()
