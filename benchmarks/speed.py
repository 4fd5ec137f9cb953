"""Time of simulated operations, in milliseconds and in multiples of torch's own: `python -m benchmarks.speed`.

Prints a Markdown table. Every time is the least of several runs, as other work on the machine can only add to it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

import asim_fx
from asim_fx.spec.schema import Adc, Defaults, HardwareSpec, Macro, Noise
from benchmarks.machine import machine

ROWS = 255

MACROS: Mapping[str, Macro] = {
    "lossless": Macro(rows=ROWS, adc=Adc(bits=8)),
    "7-bit ADC": Macro(rows=256, adc=Adc(bits=7)),
    "noise": Macro(rows=ROWS, adc=Adc(bits=8), noise=Noise(random_percent_fs=0.05, nonlinear_percent_fs=0.05)),
}
BITS = (8, 4)


@dataclass(frozen=True)
class Operation:
    """A layer and what it is given."""

    name: str
    layer: nn.Module
    images: Tensor


@dataclass(frozen=True)
class Timing:
    """One operation on one chip: seconds of a forward pass, and the ADC conversions in it."""

    seconds: float
    conversions: int

    @property
    def per_conversion(self) -> str:
        """Nanoseconds for each ADC conversion."""
        return f"{self.seconds / self.conversions * 1e9:.0f}"


def operations() -> list[Operation]:
    """Return the operations of the table, with non-negative inputs, as behind a ReLU."""
    generator = torch.Generator().manual_seed(0)
    conv = nn.Conv2d(64, 64, 3, padding=1, bias=False)
    large = nn.Conv2d(128, 128, 3, padding=1, bias=False)
    linear = nn.Linear(768, 768, bias=False)
    return [
        Operation("conv 64->64, 3x3, 32x32, batch 4", conv, torch.rand(4, 64, 32, 32, generator=generator)),
        Operation("conv 128->128, 3x3, 16x16, batch 16", large, torch.rand(16, 128, 16, 16, generator=generator)),
        Operation("linear 200 x 768 x 768", linear, torch.rand(200, 768, generator=generator)),
    ]


def chip(macro: Macro, bits: int) -> HardwareSpec:
    defaults = Defaults(weight_bits=bits, input_bits=bits, signed=False)
    return HardwareSpec(version=1, name="speed", macros={"m": macro}, defaults=defaults)


def measure_float(operation: Operation, repeats: int) -> float:
    with torch.inference_mode():
        return least_seconds(lambda: operation.layer(operation.images), repeats)


def measure(operation: Operation, spec: HardwareSpec, repeats: int) -> Timing:
    converted = asim_fx.convert(operation.layer, spec, operation.images)
    conversions = int(converted.report.totals["reads"]) * operation.images.shape[0]
    with torch.inference_mode():
        return Timing(least_seconds(lambda: converted(operation.images), repeats), conversions)


def least_seconds(run: Callable[[], object], repeats: int) -> float:
    """Return the least time of several runs, after one that is not counted."""
    run()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def table(work: list[Operation], threads: list[int], repeats: int) -> str:
    counts = ["1 thread" if count == 1 else f"{count} threads" for count in threads]
    columns = ["operation", "bits w/x", "read", "torch, ms"]
    columns += [f"{each}, {what}" for each in counts for what in ("ms", "times torch", "ns/conversion")]
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    for operation in work:
        # One figure for torch, on one thread: so short an operation gains little from more, and varies much.
        torch.set_num_threads(1)
        plain = measure_float(operation, 50 * repeats)
        for bits in BITS:
            for name, macro in MACROS.items():
                cells = [operation.name, f"{bits}/{bits}", name, f"{plain * 1e3:.2f}"]
                for count in threads:
                    torch.set_num_threads(count)
                    timing = measure(operation, chip(macro, bits), repeats)
                    cells += [f"{timing.seconds * 1e3:,.0f}", f"{timing.seconds / plain:,.0f}"]
                    cells.append("-" if name == "lossless" else timing.per_conversion)
                lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    print(table(operations(), options.threads, options.repeats), end="\n\n")
    print(
        f"Least of {options.repeats} runs; torch's float operation on one thread. Lossless reads collapse into one "
        "integer product, so there is no time of a conversion."
    )
    print(f"Made by `python -m benchmarks.speed` on {machine()}.")


if __name__ == "__main__":
    main()
