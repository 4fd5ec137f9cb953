"""How the time of an operation grows with what is asked of the hardware: `python -m benchmarks.growth`.

One thing is changed at a time, the rest stays as in the first row. Prints a Markdown table. Times are the least
processor time of several runs on one thread, of a linear layer unless the row says otherwise.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import nn

import asim_fx
from asim_fx.spec.schema import Adc, Defaults, HardwareSpec, Hybrid, Macro, Noise, Vote
from benchmarks.machine import machine

SAMPLES = 200


@dataclass(frozen=True)
class Work:
    """A linear layer of ``length`` x ``outputs`` on one macro, given ``vectors`` vectors."""

    vectors: int = SAMPLES
    length: int = 768
    outputs: int = 768
    rows: int = 256
    adc_bits: int = 7
    percent: float = 0.0
    weight_bits: int = 8
    input_bits: int = 8
    input_encoding: int = 1
    hybrid: int = 0
    votes: int = 1
    how: str = "mode"


@dataclass(frozen=True)
class Case:
    """What is changed, and the work that follows."""

    changed: str
    value: str
    work: Work


def cases() -> Iterator[Case]:
    lossy, noisy = Work(), Work(adc_bits=8, rows=255, percent=0.05)
    yield Case("noiseless, 7-bit ADC", "256 rows, W8A8", lossy)
    for bits in (1, 2, 4, 6):
        yield Case("bits of weights and inputs", str(bits), replace(lossy, weight_bits=max(2, bits), input_bits=bits))
    for rows in (32, 64, 128, 512, 1024):
        yield Case("rows", str(rows), replace(lossy, rows=rows))
    for bits in (4, 6):
        yield Case("ADC bits", str(bits), replace(lossy, adc_bits=bits))
    yield Case("both noises, 8-bit ADC", "255 rows, W8A8", noisy)
    for bits in (1, 2, 4, 6):
        yield Case("bits of weights and inputs", str(bits), replace(noisy, weight_bits=max(2, bits), input_bits=bits))
    for width in (2, 4):
        yield Case("input bits applied in a read", str(width), replace(noisy, input_encoding=width))
    for rows in (32, 64, 128, 512, 1024):
        yield Case("rows", str(rows), replace(noisy, rows=rows))
    for percent in (0.2, 1.0):
        yield Case("noise, % of full scale", f"{percent:g}", replace(noisy, percent=percent))
    for votes in (2, 3, 5, 9):
        yield Case("reads of each cell, mode", str(votes), replace(noisy, votes=votes))
    for how in ("median", "mean"):
        yield Case(f"reads of each cell, {how}", "5", replace(noisy, votes=5, how=how))
    for levels in (3, 8):
        yield Case("digital levels", str(levels), replace(noisy, hybrid=levels))
    for vectors in (1, 8, 50, 800):
        yield Case("vectors", str(vectors), replace(noisy, vectors=vectors))
    for width in (96, 192, 384, 1536):
        yield Case("layer size", f"{width} x {width}", replace(noisy, length=width, outputs=width))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(f"{machine()}; one thread\n")
    print("| changed | to | ADC conversions | ms | ns a conversion | against the first row of its kind |")
    print("|---|---|---|---|---|---|")
    first = None
    for case in cases():
        seconds, conversions = measure(case.work, options.repeats)
        if "ADC" in case.changed and "W8A8" in case.value:
            first = seconds
        assert first is not None
        print(
            f"| {case.changed} | {case.value} | {conversions:.3g} | {seconds * 1e3:,.1f} "
            f"| {seconds / conversions * 1e9:.2f} | {seconds / first:.2f} |"
        )


def measure(work: Work, repeats: int) -> tuple[float, int]:
    """Return the seconds of a forward pass and its ADC conversions, those that engines skip included."""
    layer = nn.Linear(work.length, work.outputs, bias=False)
    vectors = torch.rand(work.vectors, work.length)
    converted = asim_fx.convert(layer, chip(work), torch.rand(2, work.length))
    conversions = int(converted.report.totals["reads"]) * work.vectors
    with torch.inference_mode():
        converted(vectors)  # Compiles the kernels.
        seconds = []
        for _ in range(repeats):
            start = time.process_time()
            converted(vectors)
            seconds.append(time.process_time() - start)
    return min(seconds), conversions


def chip(work: Work) -> HardwareSpec:
    noise = Noise(random_percent_fs=work.percent, nonlinear_percent_fs=work.percent)
    macro = Macro(rows=work.rows, adc=Adc(bits=work.adc_bits), noise=noise)
    levels = work.weight_bits + work.input_bits - 1 if work.votes > 1 else 0
    defaults = Defaults(
        weight_bits=work.weight_bits,
        input_bits=work.input_bits,
        input_encoding=work.input_encoding,
        signed=False,
        hybrid=Hybrid(levels=work.hybrid),
        vote=Vote.model_validate({"levels": levels, "samples": work.votes, "how": work.how}),
    )
    return HardwareSpec(version=1, name="growth", macros={"m": macro}, defaults=defaults)


if __name__ == "__main__":
    main()
