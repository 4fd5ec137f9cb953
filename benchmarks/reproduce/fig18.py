"""Figure 18: random noise, network not trained for it, by encoding: `python -m benchmarks.reproduce.fig18`.

8-bit converter; the noise is in % of full scale.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.reproduce.command import run, share
from benchmarks.reproduce.curves import add_curve_options, curves
from benchmarks.reproduce.paper import FIG18, NOISE_PERCENT
from benchmarks.reproduce.setup import parser


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    add_curve_options(options, NOISE_PERCENT, share, "noise in percent of full scale")
    title = "Figure 18: random noise, network not trained for it, top-1 in %."
    print(
        curves(
            options.parse_args(arguments),
            title,
            "random noise, %",
            NOISE_PERCENT,
            FIG18,
            lambda percent: (f"macros.m.noise.random_percent_fs={percent:g}",),
        )
    )


if __name__ == "__main__":
    run(main)
