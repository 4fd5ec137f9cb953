"""Peak memory and time of one forward pass of a converted model: `python -m benchmarks.memory [MODEL]`.

The model is converted and run in a process of its own, so that nothing else is counted. Weights and images are random.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Task:
    """What is run.

    Attributes:
        model: as asim-convert takes it.
        spec: name or path of the hardware.
        overrides: changes of the spec, ``macros.m.adc.bits=7``.
        batch: images in the forward pass.
        size: height and width of an image; None is the model's own.
        threads: that torch may use; None is torch's own choice.
    """

    model: str = "resnet50"
    spec: str = "generic-255x8b"
    overrides: tuple[str, ...] = ()
    batch: int = 8
    size: int | None = None
    threads: int | None = None


@dataclass(frozen=True)
class Measurement:
    """What one process took.

    Attributes:
        shape: of the images.
        threads: that torch used.
        peak_before: bytes, largest resident size until the model was converted.
        peak: bytes, largest resident size in all.
        seconds: of the forward pass.
        conversions: ADC conversions of the forward pass.
    """

    shape: tuple[int, ...]
    threads: int
    peak_before: int
    peak: int
    seconds: float
    conversions: int


def measure(task: Task) -> Measurement:
    """Convert and run in a new process."""
    # Spawned, not forked: a forked process counts what its parent holds as its own.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(convert_and_run, task).result()


def convert_and_run(task: Task) -> Measurement:
    """Convert and run in this process."""
    import torch

    import asim_fx
    from asim_fx.models import build_model

    if task.threads is not None:
        torch.set_num_threads(task.threads)
    input_size = None if task.size is None else (3, task.size, task.size)
    built = build_model(task.model, input_size=input_size)
    shape = (task.batch, *(built.source.input_size or ()))
    spec = asim_fx.load_spec(task.spec, task.overrides)
    converted = asim_fx.convert(built.model, spec, torch.randn(2, *shape[1:]), source=built.source)
    images = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    before = peak_resident()
    start = time.perf_counter()
    with torch.inference_mode():
        converted(images)
    seconds = time.perf_counter() - start
    conversions = int(converted.report.totals["reads"]) * task.batch
    return Measurement(shape, torch.get_num_threads(), before, peak_resident(), seconds, conversions)


def peak_resident() -> int:
    """Return the largest resident size of this process so far, in bytes."""
    if STATUS.is_file():
        # Linux lets a process inherit the ru_maxrss of the one that started it; this figure is its own.
        fields = dict(line.split(":", 1) for line in STATUS.read_text(encoding="utf-8").splitlines())
        return int(fields["VmHWM"].split()[0]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def describe(task: Task, result: Measurement) -> str:
    """Return the result as a row of a Markdown table, with its heading."""
    changes = " ".join(task.overrides) or "-"
    shape = "x".join(map(str, result.shape))
    return "\n".join(
        [
            "| model | images | spec | changes | threads | peak, GB | of which before the pass | forward pass, s "
            "| ADC conversions |",
            "|---|---|---|---|---|---|---|---|---|",
            f"| {task.model} | {shape} | {task.spec} | {changes} | {result.threads} | {result.peak / 1e9:.2f} "
            f"| {result.peak_before / 1e9:.2f} | {result.seconds:.1f} | {result.conversions:.3g} |",
        ]
    )


def main() -> None:
    default = Task()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", default=default.model)
    parser.add_argument("--spec", default=default.spec)
    parser.add_argument("--set", action="append", default=[], metavar="A.B=V", help="change a field of the spec")
    parser.add_argument("-b", "--batch", type=int, default=default.batch)
    parser.add_argument("--size", type=int, help="height and width of an image; the model's own if left out")
    parser.add_argument("--threads", type=int, help="torch's own choice if left out")
    options = parser.parse_args()
    task = Task(options.model, options.spec, tuple(options.set), options.batch, options.size, options.threads)
    result = measure(task)
    from benchmarks.machine import machine

    print(describe(task, result))
    print(f"\nMade by `python -m benchmarks.memory` on {machine()}.")


if __name__ == "__main__":
    main()
