"""Figure 6: accuracy against the bits of the converter, bit-serial: `python -m benchmarks.reproduce.fig6`.

For the paper's networks: --model asim:resnet18_cifar --checkpoint FILE --data DIR, and so on.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from benchmarks.reproduce.command import adc_bits, run
from benchmarks.reproduce.curves import add_point_options
from benchmarks.reproduce.drawing import Line, draw
from benchmarks.reproduce.paper import FIG6, FIG6_BITS, NETWORKS
from benchmarks.reproduce.setup import Setup, markdown, parser, percent


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    add_point_options(options, FIG6_BITS, adc_bits, "bits of the converter")
    print(report(options.parse_args(arguments)))


def report(options: argparse.Namespace) -> str:
    setup = Setup(options)
    own = [setup.top1(f"macros.m.adc.bits={bits}") for bits in options.points]
    rows = []
    for bits, top1 in zip(options.points, own, strict=True):
        beside = [percent(FIG6[name][FIG6_BITS.index(bits)]) if bits in FIG6_BITS else "" for name in NETWORKS]
        rows.append([str(bits), percent(top1), *beside])
    head = ["ADC bits", setup.network, *(f"paper {name}" for name in NETWORKS)]
    if options.plot is not None:
        lines = [Line(setup.network, options.points, own, FIG6_BITS, ())]
        lines += [Line(f"paper {name}", (), (), FIG6_BITS, FIG6[name]) for name in NETWORKS]
        draw(lines, "ADC bits", f"here, {setup.data.samples} images", "paper", options.plot)
    return setup.heading("Figure 6: bits of the converter, top-1 in %.") + "\n" + markdown(head, rows)


if __name__ == "__main__":
    run(main)
