"""Figure 6: accuracy against the bits of the converter, bit-serial: `python -m benchmarks.reproduce.fig6`.

For the paper's networks: --model asim:resnet18_cifar --checkpoint FILE --data DIR, and so on.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from benchmarks.reproduce.paper import FIG6, FIG6_BITS, NETWORKS
from benchmarks.reproduce.setup import Setup, markdown, parser, percent


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--bits", type=int, nargs="+", default=list(FIG6_BITS))
    print(report(options.parse_args(arguments)))


def report(options: argparse.Namespace) -> str:
    setup = Setup(options)
    rows = []
    for bits in options.bits:
        beside = [FIG6[name][FIG6_BITS.index(bits)] if bits in FIG6_BITS else None for name in NETWORKS]
        shown = [percent(value) if bits in FIG6_BITS else "" for value in beside]
        rows.append([str(bits), percent(setup.top1(f"macros.m.adc.bits={bits}")), *shown])
    head = ["ADC bits", setup.network, *(f"paper {name}" for name in NETWORKS)]
    return setup.heading("Figure 6: bits of the converter, top-1 in %.") + "\n" + markdown(head, rows)


if __name__ == "__main__":
    main()
