"""Time against the published ASiM simulator: `python -m benchmarks.against_asim --asim CHECKOUT`.

Takes the path of a checkout of Keio-CSG/ASiM, imports it and runs the same layers, and a whole ResNet-18 for images of
32 x 32, in turn, on the same threads. Prints a Markdown table. Times are the least of several runs, as other work on
the machine can only add; on one thread they are the processor time of the process, which other work hardly changes, and
with several the time on the clock.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import torchvision
from torch import nn

import asim_fx
from asim_fx.spec.schema import Adc, Defaults, HardwareSpec, Macro, Match, Noise, Rule
from benchmarks.machine import machine
from benchmarks.published import Hardware, published_layers, with_published_layers


@dataclass(frozen=True)
class Reading:
    """How cells are read, and by how much the published simulator should be beaten."""

    name: str
    rows: int
    adc_bits: int
    percent: float
    conv_target: int | None
    linear_target: int | None


READINGS = (
    Reading("noise, 8-bit ADC", 255, 8, 0.05, 15, 15),
    Reading("lossy, 7-bit ADC", 256, 7, 0.0, 25, None),
    Reading("lossless, 8-bit ADC", 255, 8, 0.0, 150, None),
)
MODEL_BITS, MODEL_IMAGES, MODEL_TARGET = 4, 4, 15


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--asim", type=Path, required=True, metavar="CHECKOUT")
    parser.add_argument("--bits", type=int, nargs="+", default=[8, 4])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", choices=("layers", "model"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    print(f"{machine()}; threads: {options.threads}\n")
    print("| operation | bits | read | published, ms | here, ms | times faster | wanted |")
    print("|---|---|---|---|---|---|---|")
    if options.only != "model":
        for reading in READINGS:
            for bits in options.bits:
                _conv(reading, bits, options)
                _linear(reading, bits, options)
    if options.only != "layers":
        _model(options)


def _conv(reading: Reading, bits: int, options: argparse.Namespace) -> None:
    images = torch.rand(4, 64, 32, 32)
    layer = nn.Conv2d(64, 64, 3, padding=1, bias=False)
    published = published_layers(options.asim).conv(
        64, 64, 3, padding=1, bias=False, **_hardware(reading, bits).arguments, signed_act=False
    )
    converted = asim_fx.convert(layer, _chip(reading, bits, signed=False), images)
    name = "conv 4x64x32x32, 3x3, 64"
    _row(name, bits, reading, lambda: published(images), lambda: converted(images), reading.conv_target, options)


def _linear(reading: Reading, bits: int, options: argparse.Namespace) -> None:
    vectors = torch.randn(200, 768)
    layer = nn.Linear(768, 768, bias=False)
    published = published_layers(options.asim).linear(
        768, 768, bias=False, **_hardware(reading, bits).arguments, signed_act=True
    )
    converted = asim_fx.convert(layer, _chip(reading, bits, signed=True), vectors)
    name = "linear 200x768x768, signed"
    _row(name, bits, reading, lambda: published(vectors), lambda: converted(vectors), reading.linear_target, options)


def _model(options: argparse.Namespace) -> None:
    """Compare ResNet-18 with a stem for small images, the stem digital in both."""
    images = torch.rand(MODEL_IMAGES, 3, 32, 32)
    reading = READINGS[0]
    spec = _chip(reading, MODEL_BITS, signed="auto")
    stem = Rule(match=Match(name="@first_conv"), target="integer", weight_bits=8, input_bits=8, why="digital in both")
    converted = asim_fx.convert(_small_resnet(), spec.model_copy(update={"rules": [stem]}), images)
    published = with_published_layers(_small_resnet(), _hardware(reading, MODEL_BITS), options.asim, digital_stem=True)
    name = f"ResNet-18, {MODEL_IMAGES} images 32x32"
    _row(name, MODEL_BITS, reading, lambda: published(images), lambda: converted(images), MODEL_TARGET, options)


def _small_resnet() -> nn.Module:
    model = torchvision.models.resnet18(weights=None, num_classes=10)
    model.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    model.maxpool = nn.Identity()
    return model.eval()


def _row(
    name: str,
    bits: int,
    reading: Reading,
    published: Callable[[], Any],
    here: Callable[[], Any],
    target: int | None,
    options: argparse.Namespace,
) -> None:
    clock = time.process_time if options.threads == 1 else time.perf_counter
    least = [float("inf")] * 2
    with torch.inference_mode():
        here()  # Compiles the kernels.
        for _ in range(options.repeats):
            for at, run in enumerate((published, here)):
                start = clock()
                run()
                least[at] = min(least[at], clock() - start)
    ratio = least[0] / least[1]
    wanted = (
        "-"
        if target is None or (bits != 8 and name.startswith(("conv", "linear")))
        else f"{target}: {'reached' if ratio >= target else 'missed'}"
    )
    times = " | ".join(f"{seconds * 1e3:,.1f}" for seconds in least)
    print(f"| {name} | {bits}/{bits} | {reading.name} | {times} | {ratio:.1f} | {wanted} |", flush=True)


def _hardware(reading: Reading, bits: int) -> Hardware:
    return Hardware(bits, reading.rows, reading.adc_bits, reading.percent)


def _chip(reading: Reading, bits: int, *, signed: bool | Literal["auto"]) -> HardwareSpec:
    noise = Noise(random_percent_fs=reading.percent, nonlinear_percent_fs=reading.percent)
    macro = Macro(rows=reading.rows, adc=Adc(bits=reading.adc_bits), noise=noise)
    defaults = Defaults(weight_bits=bits, input_bits=bits, signed=signed)
    return HardwareSpec(version=1, name="against", macros={"m": macro}, defaults=defaults)


if __name__ == "__main__":
    main()
