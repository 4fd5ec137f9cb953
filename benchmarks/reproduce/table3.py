"""Table III: a CR-CIM chip as simulated and as measured: `python -m benchmarks.reproduce.table3`.

512 rows, bit-serial, 10-bit converter, 0.58 LSB rms, of which half the power is random and half nonlinear noise.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.reproduce.command import run
from benchmarks.reproduce.paper import TABLE3
from benchmarks.reproduce.setup import Setup, markdown, parser, percent

LSB_RMS = 0.58
BITS = 10
PERCENT = LSB_RMS / 2**0.5 / (2**BITS - 1) * 100


def main(arguments: Sequence[str] | None = None) -> None:
    setup = Setup(parser(__doc__).parse_args(arguments))
    own = setup.top1(
        "macros.m.rows=512",
        f"macros.m.adc.bits={BITS}",
        f"macros.m.noise.random_percent_fs={PERCENT:.5f}",
        f"macros.m.noise.nonlinear_percent_fs={PERCENT:.5f}",
    )
    rows = [[setup.network, percent(own)], *([f"paper, {words}", percent(value)] for words, value in TABLE3.items())]
    print(setup.heading("Table III: CR-CIM, top-1 in %."))
    print(markdown(["network", "top-1"], rows))


if __name__ == "__main__":
    run(main)
