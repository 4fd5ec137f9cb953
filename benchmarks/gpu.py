"""Images a second on one GPU: `python -m benchmarks.gpu [--asim CHECKOUT]`.

ResNet-18 with 6-bit and ViT-B/32 with 8-bit operands, both noises on, random weights and images of 224 x 224 that lie
on the GPU already. With the path of a checkout of Keio-CSG/ASiM, ResNet-18 also runs with its layers, on the same GPU.
Prints a Markdown table. The first batch compiles and tunes the kernels and is not counted; times are medians. Before
that, a layer is compared with the plain engine, bit for bit.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torchvision
from torch import Tensor, nn

import asim_fx
from asim_fx.ops.engines.choice import EngineChoice
from asim_fx.spec.schema import Adc, Defaults, HardwareSpec, Macro, Noise
from benchmarks.machine import machine
from benchmarks.published import Hardware, with_published_layers

ROWS, ADC_BITS, NOISE_PERCENT = 255, 8, 0.05
IMAGES = 50_000


@dataclass(frozen=True)
class Work:
    """A model, and how long 50,000 images should take and took the published simulator on an A6000, in seconds."""

    model: str
    bits: int
    wanted: int
    published_a6000: int


WORKS = (Work("resnet18", 6, 60, 4049), Work("vit_b_32", 8, 300, 19841))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--asim", type=Path, metavar="CHECKOUT")
    parser.add_argument("--models", nargs="+", default=[work.model for work in WORKS])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--published-batch", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--device", default="cuda")
    options = parser.parse_args()
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        parser.error("there is no GPU that torch can use")
    where = torch.cuda.get_device_name(options.device) if options.device.startswith("cuda") else "no GPU"
    print(f"{where}; {machine()}; batch {options.batch}")
    print(f"A layer has the bits of the plain engine: {same_bits(options.device)}\n")
    print("| model | bits | by | images/s | 50,000 images, s | wanted, s | published on an A6000, s | times faster |")
    print("|---|---|---|---|---|---|---|---|")
    for work in WORKS:
        if work.model in options.models:
            compare(work, options)


def compare(work: Work, options: argparse.Namespace) -> None:
    torch.manual_seed(0)
    images = torch.rand(options.batch, 3, options.size, options.size)
    extra = {"image_size": options.size} if work.model.startswith("vit") else {}
    model = torchvision.models.get_model(work.model, weights=None, **extra).eval()
    converted = asim_fx.convert(model, chip(work.bits), images[:2]).to(options.device)
    images = images.to(options.device)
    rate = images_a_second(converted, images, options.repeats)
    reached = f"{work.wanted}: {'reached' if rate * work.wanted >= IMAGES else 'missed'}"
    line = f"| {work.model} | {work.bits}/{work.bits} |"
    seconds = IMAGES / rate
    print(
        f"{line} asim-fx | {rate:,.1f} | {seconds:,.0f} | {reached} | {work.published_a6000:,} | "
        f"{work.published_a6000 / seconds:,.1f} |",
        flush=True,
    )
    if options.asim and work.model == "resnet18":
        hardware = Hardware(work.bits, ROWS, ADC_BITS, NOISE_PERCENT)
        published = with_published_layers(model, hardware, options.asim).to(options.device)
        other = images_a_second(published, images[: options.published_batch], 2)
        seconds = IMAGES / other
        print(f"{line} ASiM, here | {other:,.2f} | {seconds:,.0f} | - | - | asim-fx: {rate / other:,.1f} |", flush=True)


def images_a_second(model: Callable[[Tensor], Tensor], images: Tensor, repeats: int) -> float:
    seconds = []
    with torch.inference_mode():
        for _ in range(repeats + 1):
            start = time.perf_counter()
            model(images)
            if images.is_cuda:
                torch.cuda.synchronize(images.device)
            seconds.append(time.perf_counter() - start)
    return images.shape[0] / statistics.median(seconds[1:])


def chip(bits: int, engine: EngineChoice = "auto") -> HardwareSpec:
    macro = Macro(
        rows=ROWS,
        adc=Adc(bits=ADC_BITS),
        noise=Noise(random_percent_fs=NOISE_PERCENT, nonlinear_percent_fs=NOISE_PERCENT),
    )
    defaults = Defaults(weight_bits=bits, input_bits=bits)
    return HardwareSpec(version=1, name="gpu", macros={"m": macro}, defaults=defaults, engine=engine)


def same_bits(device: str) -> bool:
    torch.manual_seed(0)
    layer, images = nn.Conv2d(64, 64, 3, padding=1, bias=False), torch.rand(2, 64, 12, 12)
    engines: tuple[EngineChoice, EngineChoice] = ("auto", "torch")
    with torch.inference_mode():
        first, second = (
            asim_fx.convert(layer, chip(6, engine), images).to(device)(images.to(device)) for engine in engines
        )
    return torch.equal(first, second)


if __name__ == "__main__":
    main()
