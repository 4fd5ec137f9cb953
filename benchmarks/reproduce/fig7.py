"""Figure 7: bits of the converter, bit-serial and with 2 and 4 bits a read: `python -m benchmarks.reproduce.fig7`."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.reproduce.command import adc_bits, run
from benchmarks.reproduce.curves import add_curve_options, curves
from benchmarks.reproduce.paper import FIG7, FIG7_BITS
from benchmarks.reproduce.setup import parser


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    add_curve_options(options, FIG7_BITS, adc_bits, "bits of the converter")
    title = "Figure 7: bits of the converter and encoding of the activations, top-1 in %."
    print(
        curves(
            options.parse_args(arguments),
            title,
            "ADC bits",
            FIG7_BITS,
            FIG7,
            lambda bits: (f"macros.m.adc.bits={bits:g}",),
        )
    )


if __name__ == "__main__":
    run(main)
