"""Figure 9b: nonlinear noise, by encoding: `python -m benchmarks.reproduce.fig9b`.

8-bit converter; the noise is in % of full scale.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.reproduce.command import run, share
from benchmarks.reproduce.curves import add_curve_options, curves
from benchmarks.reproduce.paper import FIG9B, NOISE_PERCENT
from benchmarks.reproduce.setup import parser


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    add_curve_options(options, NOISE_PERCENT, share, "noise in percent of full scale")
    title = "Figure 9b: nonlinear noise, top-1 in %."
    print(
        curves(
            options.parse_args(arguments),
            title,
            "nonlinear noise, %",
            NOISE_PERCENT,
            FIG9B,
            lambda percent: (f"macros.m.noise.nonlinear_percent_fs={percent:g}",),
        )
    )


if __name__ == "__main__":
    run(main)
