"""A chip that reads 1,152 rows at once, at 4 and at 8 bits: `python -m benchmarks.reproduce.jia`.

Jia et al. (ISSCC 2021) measured 91.51 % of 91.68 % on CIFAR-10 with 8-bit converters and 0.68 LSB rms of noise, with
4-bit weights and activations and a VGG trained for them. The paper's figure 18 lets a network at 8 bits fall to 52.50 %
at 0.51 LSB rms on 256 rows, so that the bits of the operands must matter.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.reproduce.command import run
from benchmarks.reproduce.setup import Setup, markdown, parser, percent

ROWS, LSB_RMS = 1152, 0.68
BITS = (4, 5, 6, 8)


def main(arguments: Sequence[str] | None = None) -> None:
    setup = Setup(parser(__doc__).parse_args(arguments))
    rows = []
    for bits in BITS:
        operands = (f"defaults.weight_bits={bits}", f"defaults.input_bits={bits}")
        chip = (f"macros.m.rows={ROWS}", *operands)
        ideal = setup.top1("macros.m.adc.bits=ideal", *operands)
        quiet, noisy = setup.top1(*chip), setup.top1(*chip, f"macros.m.noise.random_lsb_rms={LSB_RMS}")
        rows.append([f"{bits} bits", percent(ideal), percent(quiet), percent(noisy)])
    print(setup.heading(f"Noise at {ROWS} rows by the bits of weights and activations, top-1 in %."))
    print(markdown(["weights and activations", "ideal converter", "8-bit converter", f"{LSB_RMS} LSB rms"], rows))


if __name__ == "__main__":
    run(main)
