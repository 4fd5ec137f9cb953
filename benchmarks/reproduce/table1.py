"""Table I: what other simulators make of one chip, and this one: `python -m benchmarks.reproduce.table1`.

6-bit converter, 0.5 LSB rms of random noise, bit-serial.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.reproduce.command import run
from benchmarks.reproduce.paper import FIG6, TABLE1
from benchmarks.reproduce.setup import Setup, markdown, parser, percent

ADC = "macros.m.adc.bits=6"


def main(arguments: Sequence[str] | None = None) -> None:
    setup = Setup(parser(__doc__).parse_args(arguments))
    rows = [[name, "", percent(value)] for name, value in TABLE1.items()]
    rows.append(["ASiM, no noise", percent(setup.top1(ADC)), percent(FIG6["R18-IN"][0])])
    rows.append(["ASiM, 0.5 LSB rms", percent(setup.top1(ADC, "macros.m.noise.random_lsb_rms=0.5")), ""])
    print(setup.heading("Table I: top-1 in %; only the rows of ASiM are computed here."))
    print(markdown(["simulator", setup.network, "paper R18-IN"], rows))


if __name__ == "__main__":
    run(main)
