"""Section VI-C: majority voting on CR-CIM at 6 bits: `python -m benchmarks.reproduce.voting`.

Cycles below level 3 are read three times. The paper does not say the noise of its 6-bit chip; it is taken to be that of
table III, 0.58 LSB rms, half random and half nonlinear.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.reproduce.command import run
from benchmarks.reproduce.paper import VOTING
from benchmarks.reproduce.setup import Setup, markdown, parser, percent
from benchmarks.reproduce.table3 import LSB_RMS

BITS = 6
PERCENT = LSB_RMS / 2**0.5 / (2**BITS - 1) * 100
CHIP = (
    "macros.m.rows=512",
    f"macros.m.adc.bits={BITS}",
    f"macros.m.noise.random_percent_fs={PERCENT:.5f}",
    f"macros.m.noise.nonlinear_percent_fs={PERCENT:.5f}",
)
VOTE = ("defaults.vote.levels=3", "defaults.vote.samples=3")


def main(arguments: Sequence[str] | None = None) -> None:
    setup = Setup(parser(__doc__).parse_args(arguments))
    rows = [
        ["read once", percent(setup.top1(*CHIP)), percent(VOTING["plain"])],
        ["3 reads below level 3, most common code", percent(setup.top1(*CHIP, *VOTE)), percent(VOTING["voted"])],
        ["3 reads below level 3, median", percent(setup.top1(*CHIP, *VOTE, "defaults.vote.how=median")), ""],
    ]
    print(setup.heading("Section VI-C: majority voting, top-1 in %."))
    print(markdown(["cycles", setup.network, "paper R18-C10"], rows))


if __name__ == "__main__":
    run(main)
