"""Accuracy of the digits models by how scales and converter windows are chosen: `python -m benchmarks.calibration`.

Prints the tables of docs/calibration.md in Markdown; takes about five minutes on one core. Calibrated on the first
training images, measured on test images.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import torch

import asim_fx
from asim_fx.converted import ConvertedModel
from asim_fx.data import open_data
from asim_fx.models import BuiltModel, build_model
from asim_fx.report.fidelity import FidelityReport
from asim_fx.simulation import simulate
from asim_fx.simulation.probe import probe
from benchmarks.machine import machine

MODELS = ("digits_resnet", "digits_vit")
SCALES = {
    "dynamic": (),
    "static, max": ("scale=static",),
    "static, 99.9 %": ("scale=static", "calibration.method=percentile", "calibration.percentile=99.9"),
    "static, 99 %": ("scale=static", "calibration.method=percentile", "calibration.percentile=99"),
    "static, mse": ("scale=static", "calibration.method=mse"),
    "static, kl": ("scale=static", "calibration.method=kl"),
    "dynamic, weights per channel": ("weight_scale=channel",),
    "static mse, weights per channel": ("scale=static", "calibration.method=mse", "weight_scale=channel"),
}
BITS = (8, 4, 3)
WINDOWS = {
    "all rows": ("range=rows",),
    "rows used": ("range=used",),
    "99.9 %": ("range=calibrated", "window.method=percentile"),
    "mse": ("range=calibrated", "window.method=mse"),
    "csnr": ("range=calibrated", "window.method=csnr"),
}
ADC_BITS = (4, 5, 6)
NOISE_LSB = 0.3


def convert(built: BuiltModel, spec: str, overrides: Sequence[str], calib_samples: int) -> ConvertedModel:
    """Return a converted model, calibrated where it needs to be."""
    size = built.source.input_size or ()
    document = asim_fx.load_spec(spec, tuple(overrides))
    converted = asim_fx.convert(built.model, document, torch.randn(2, *size), source=built.source)
    data = open_data("digits", config=built.source.data_config, split="train", num_samples=calib_samples, batch_size=32)
    asim_fx.calibrate(converted, (images for images, _ in data))
    return converted


def scale_overrides(bits: int, scale: str) -> list[str]:
    """Return what makes every site ``bits`` wide with scales of this kind."""
    words = [f"weight_bits={bits}", f"input_bits={bits}", *SCALES[scale]]
    return [f"defaults.{word}" for word in words]


def window_overrides(adc_bits: int, window: str) -> list[str]:
    """Return what gives the macro converters of these bits, with noise in their steps, and this window."""
    noise = [f"random_lsb_rms={NOISE_LSB}", "random_percent_fs=0", "nonlinear_percent_fs=0"]
    words = [f"adc.bits={adc_bits}", *(f"adc.{word}" for word in WINDOWS[window]), *(f"noise.{n}" for n in noise)]
    return [f"macros.m.{word}" for word in words]


def accuracy(converted: ConvertedModel, built: BuiltModel, images: int) -> float:
    """Return the top-1 of the simulated hardware in percent."""
    data = open_data("digits", config=built.source.data_config, num_samples=images)
    return simulate(converted, data).variants[-1].top1.mean


def fidelity(converted: ConvertedModel, built: BuiltModel, images: int) -> FidelityReport:
    """Return the ratios of each site."""
    return probe(converted, open_data("digits", config=built.source.data_config, num_samples=images, batch_size=16))


def median_csnr(report: FidelityReport) -> str:
    """Return the median CSNR of the analog sites, each at the inputs of the float model."""
    ratios = sorted(site.csnr_db for site in report.sites if site.target == "analog" and site.csnr_db is not None)
    return f"{ratios[len(ratios) // 2]:.1f}"


def scales_table(name: str, options: argparse.Namespace) -> str:
    built = build_model(f"asim:{name}")
    lines = [f"| `asim:{name}`, top-1 in % | {' | '.join(f'W{bits}A{bits}' for bits in BITS)} |"]
    lines.append("|---" * (len(BITS) + 1) + "|")
    for scale in SCALES:
        found = [
            accuracy(
                convert(built, "ideal", scale_overrides(bits, scale), options.calib_samples),
                built,
                options.num_samples,
            )
            for bits in BITS
        ]
        lines.append(f"| {scale} | {' | '.join(f'{top1:.1f}' for top1 in found)} |")
    return "\n".join(lines)


def windows_table(name: str, options: argparse.Namespace) -> str:
    built = build_model(f"asim:{name}")
    lines = [f"| `asim:{name}`: top-1 in %, median CSNR in dB | {' | '.join(f'{bits} bits' for bits in ADC_BITS)} |"]
    lines.append("|---" * (len(ADC_BITS) + 1) + "|")
    for window in WINDOWS:
        cells = []
        for bits in ADC_BITS:
            converted = convert(built, "generic-255x8b", window_overrides(bits, window), options.calib_samples)
            ratio = median_csnr(fidelity(converted, built, min(16, options.num_samples)))
            cells.append(f"{accuracy(converted, built, options.num_samples):.1f}, {ratio} dB")
        lines.append(f"| {window} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--num-samples", type=int, default=360, help="the first so many of the 360 test images")
    parser.add_argument("--calib-samples", type=int, default=128, help="training images to calibrate on")
    parser.add_argument("--tables", nargs="+", choices=("scales", "windows"), default=("scales", "windows"))
    options = parser.parse_args()
    for name in options.models:
        if "scales" in options.tables:
            print(scales_table(name, options), end="\n\n", flush=True)
        if "windows" in options.tables:
            print(windows_table(name, options), end="\n\n", flush=True)
    print(f"{options.num_samples} test images, calibrated on {options.calib_samples} training images; {machine()}.")


if __name__ == "__main__":
    main()
