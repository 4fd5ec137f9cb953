"""Five published chips on two networks: `python -m benchmarks.study --out docs/study`.

Writes docs/study/README.md with a table for each network and the plots beside it. The digits ResNet is simulated on
each chip as it was published, with its converters' range set to the rows in use, with a window calibrated on training
images, and with that and three digital levels (HCiM). The ResNet-18 of torchvision for images of 224 x 224 is mapped:
energy, latency and area, with their bands. Takes about five minutes on one core.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import torch

import asim_fx
from asim_fx.calibration import calibrate
from asim_fx.data import open_data
from asim_fx.models import build_model
from asim_fx.simulation import simulate
from asim_fx.simulation.metrics import Estimate
from asim_fx.spec.loader import load_spec
from asim_fx.spec.presets import adc_in_words, geometry_in_words, node_in_words, noise_in_words, venue_in_words
from benchmarks.machine import machine

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "asim-fx"

from matplotlib import pyplot  # noqa: E402  (the backend first)

CHIPS = ("jia-isscc2021", "lee-vlsi2021", "si-isscc2020", "hsieh-isscc2023", "wang-vlsi2022")
CALIBRATION_IMAGES = 256


_FINDINGS = (
    "- The two arrays of 1,152 rows lose nearly everything, whatever the window: their noise is a share of the full "
    "column, and the layers of so small a network fill a part of it only. Digital levels give some of it back. On "
    "networks that fill it such a chip was measured with little loss (`asim-spec show jia-isscc2021`).",
    "- The two chips that read whole codes lose by the steps of their converters, and a calibrated window mends that; "
    "digital levels do not exist where one read takes all bits.",
    "- `si-isscc2020` adds up 16 rows at a time. It loses nothing, and takes many times the arrays.",
    "- What is not published of a chip's noise is not simulated: its true figures are lower, by an unknown amount.",
)
"""What the tables show, as of the run that the page was made by."""


@dataclass(frozen=True)
class Setting:
    """How a chip is used: changes of its spec."""

    name: str
    overrides: tuple[str, ...] = ()


SETTINGS = (
    Setting("as published"),
    Setting("range of the rows in use", ("macros.m.adc.range=used",)),
    Setting("calibrated window", ("macros.m.adc.range=calibrated",)),
    Setting("calibrated window, 3 digital levels", ("macros.m.adc.range=calibrated", "defaults.hybrid.levels=3")),
)


@dataclass(frozen=True)
class Accuracy:
    """Of one chip in one setting; None where the chip cannot be set so, and why."""

    chip: str
    setting: str
    top1: Estimate | None
    why: str = ""


@dataclass(frozen=True)
class Mapped:
    """Totals of ResNet-18 on one chip, as the report gives them."""

    chip: str
    totals: dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/study"))
    parser.add_argument("--num-samples", type=int, default=360)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    accuracies = [measure(chip, setting, options.num_samples, options.seeds) for chip in CHIPS for setting in SETTINGS]
    mapped = [Mapped(chip, mapping(chip)) for chip in CHIPS]
    options.out.mkdir(parents=True, exist_ok=True)
    draw_accuracy(accuracies, options.out / "accuracy.svg")
    draw_cost(mapped, options.out / "cost.svg")
    page = "\n".join(describe(accuracies, mapped, options.num_samples, options.seeds))
    (options.out / "README.md").write_text(page + "\n", encoding="utf-8")


def measure(chip: str, setting: Setting, samples: int, seeds: int) -> Accuracy:
    print(f"{chip}, {setting.name}", file=sys.stderr, flush=True)
    built = build_model("asim:digits_resnet")
    size = built.source.input_size or ()
    try:
        spec = load_spec(chip, setting.overrides)
        converted = asim_fx.convert(built.model, spec, torch.randn(2, *size), source=built.source)
    except asim_fx.AsimError as error:
        return Accuracy(chip, setting.name, None, str(error).partition("\n")[0])
    if "range=calibrated" in "".join(setting.overrides):
        images = open_data(
            "digits", config=built.source.data_config, split="train", num_samples=CALIBRATION_IMAGES, workers=0
        )
        calibrate(converted, (batch[0] for batch in images.batches()))
    data = open_data("digits", config=built.source.data_config, num_samples=samples)
    result = simulate(converted, data, seeds=tuple(range(seeds)))
    return Accuracy(chip, setting.name, result.variants[-1].top1)


def mapping(chip: str) -> dict[str, Any]:
    print(f"{chip}, mapping of ResNet-18", file=sys.stderr, flush=True)
    built = build_model("torchvision:resnet18", device="meta")
    planned = asim_fx.conversion.plan(
        built.model, chip, torch.randn(2, 3, 224, 224, device="meta"), source=built.source, values=False
    )
    return dict(planned.report.totals)


def describe(accuracies: Sequence[Accuracy], mapped: Sequence[Mapped], samples: int, seeds: int) -> Iterator[str]:
    yield "# Five published chips on two networks"
    yield ""
    yield "<!-- Made by `python -m benchmarks.study --out docs/study`. Do not edit. -->"
    yield ""
    yield "| chip | venue | node | rows x columns | ADC | noise, % of full scale | weights/inputs |"
    yield "|---|---|---|---|---|---|---|"
    for chip in CHIPS:
        spec = load_spec(chip)
        ((name, macro),) = spec.macros.items()
        bits = f"{spec.defaults.weight_bits}/{spec.defaults.input_bits} bits"
        words = venue_in_words(spec), node_in_words(macro), geometry_in_words(spec, name), adc_in_words(macro)
        yield f"| {chip} | {' | '.join(words)} | {noise_in_words(spec, name)} | {bits} |"
    yield ""
    yield from _accuracy_section(accuracies, samples, seeds)
    yield from _cost_section(mapped)
    yield f"Made on {machine()}."


def _accuracy_section(accuracies: Sequence[Accuracy], samples: int, seeds: int) -> Iterator[str]:
    yield "## What is left of the accuracy: the digits ResNet"
    yield ""
    yield "![Accuracy of the digits ResNet on each chip](accuracy.svg)"
    yield ""
    yield "| chip | " + " | ".join(setting.name for setting in SETTINGS) + " |"
    yield "|---" * (len(SETTINGS) + 1) + "|"
    for chip in CHIPS:
        mine = {accuracy.setting: accuracy for accuracy in accuracies if accuracy.chip == chip}
        yield f"| {chip} | " + " | ".join(_cell(mine[setting.name]) for setting in SETTINGS) + " |"
    yield ""
    for accuracy in accuracies:
        if accuracy.why:
            yield f"- {accuracy.chip}, {accuracy.setting}: {accuracy.why}"
    yield ""
    yield (
        f"Top-1 in % on {samples} test images, mean of {seeds} seeds and half the 95 % interval; one figure where "
        "nothing is random. Weights and inputs have the bits of the table above, with a scale for the whole tensor, "
        f"and were not trained for them. Windows are calibrated on {CALIBRATION_IMAGES} training images by compute SNR."
    )
    yield ""
    yield from _FINDINGS
    yield ""


def _cell(accuracy: Accuracy) -> str:
    if accuracy.top1 is None:
        return "-"
    half = (accuracy.top1.high - accuracy.top1.low) / 2
    return (
        f"{accuracy.top1.mean:.1f}" if "images" in accuracy.top1.interval else f"{accuracy.top1.mean:.1f} ± {half:.1f}"
    )


def _cost_section(mapped: Sequence[Mapped]) -> Iterator[str]:
    yield "## What it costs: ResNet-18, 224 x 224"
    yield ""
    yield "![Energy and latency of ResNet-18 on each chip](cost.svg)"
    yield ""
    yield "| chip | energy an image, mJ (band) | latency, ms (band) | images/s | TOPS/W | arrays | area, mm² |"
    yield "|---|---|---|---|---|---|---|"
    for one in mapped:
        totals = one.totals
        yield (
            f"| {one.chip} | {_banded(totals, 'energy', '_j', 1e3)} | {_banded(totals, 'latency', '_s', 1e3)} "
            f"| {_figure(totals['images_per_s'])} | {_figure(totals['tops_per_w'])} "
            f"| {totals['arrays']:,} | {_figure(totals['area_mm2'])} |"
        )
    yield ""
    yield (
        "Each chip at its own bits, with as many macros as the network fills; images/s of a pipeline. Energy and time "
        "come from the chip's own measurements where it is used as it was measured, else from a formula with its band "
        "([cost](../cost.md)); area only where a source gives one. [Mapping](../mapping.md) says what is "
        "assumed."
    )
    yield ""


def _banded(totals: dict[str, Any], name: str, unit: str, scale: float) -> str:
    low, value, high = (totals[name + end + unit] for end in ("_low", "", "_high"))
    if value is None:
        return "unknown"
    return f"{_figure(value * scale)} ({_figure(low * scale)} to {_figure(high * scale)})"


def _figure(value: float | None) -> str:
    return "unknown" if value is None else f"{value:,.3g}" if value < 1000 else f"{value:,.0f}"


def draw_accuracy(accuracies: Sequence[Accuracy], path: Path) -> None:
    """Draw a group of bars for each chip."""
    figure, axes = pyplot.subplots(figsize=(9, 3.6), layout="constrained")
    width = 0.8 / len(SETTINGS)
    for at, setting in enumerate(SETTINGS):
        mine = [one for one in accuracies if one.setting == setting.name]
        heights = [one.top1.mean if one.top1 else 0 for one in mine]
        errors = [(one.top1.high - one.top1.low) / 2 if one.top1 else 0 for one in mine]
        places = [chip + (at - (len(SETTINGS) - 1) / 2) * width for chip in range(len(CHIPS))]
        axes.bar(places, heights, width, yerr=errors, label=setting.name, capsize=2)
    axes.axhline(10, color="grey", linewidth=0.8, linestyle=":")
    axes.set_xticks(range(len(CHIPS)), CHIPS)
    axes.set_ylabel("top-1, %")
    axes.set_ylim(0, 105)
    figure.legend(loc="outside upper center", ncols=len(SETTINGS), frameon=False, fontsize="small")
    figure.savefig(path, metadata={"Date": None})


def draw_cost(mapped: Sequence[Mapped], path: Path) -> None:
    """Draw energy against latency, with bands."""
    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    for one in mapped:
        energy, latency = (
            [one.totals[name + end + unit] for end in ("_low", "", "_high")]
            for name, unit in (("energy", "_j"), ("latency", "_s"))
        )
        if None in (*energy, *latency):
            continue
        x, y = (([value * 1e3 for value in values]) for values in (latency, energy))
        axes.errorbar(
            x[1], y[1], xerr=[[x[1] - x[0]], [x[2] - x[1]]], yerr=[[y[1] - y[0]], [y[2] - y[1]]], fmt="o", capsize=3
        )
        axes.annotate(one.chip, (x[1], y[1]), textcoords="offset points", xytext=(6, 6), fontsize="small")
    axes.set_xscale("log")
    axes.margins(x=0.15)
    axes.set_yscale("log")
    axes.set_xlabel("latency of an image, ms")
    axes.set_ylabel("energy of an image, mJ")
    axes.grid(visible=True, which="major", linewidth=0.4)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
