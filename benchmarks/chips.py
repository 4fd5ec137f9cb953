"""Published against modelled efficiency of every shipped chip: ``python -m benchmarks.chips > docs/chips.md``."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from asim_fx.cost import uiuc_fit, zigzag_imc
from asim_fx.cost.column import circuit_of, modelled_read_energy
from asim_fx.cost.measured import published_energy_fj, reads_per_quoted_mac
from asim_fx.spec.base import known
from asim_fx.spec.loader import load_spec, shipped_names
from asim_fx.spec.macro_cost import OperatingPoint
from asim_fx.spec.merge import merge
from asim_fx.spec.presets import noise_in_words, venue_in_words
from asim_fx.spec.schema import HardwareSpec

_INTRODUCTION = """\
# The chips that ship, and how far a formula is from them

<!-- Made by `python -m benchmarks.chips > docs/chips.md`. Do not edit. -->

`asim-spec list` shows every spec that ships, `asim-spec show NAME` one of them with its publication and the source of
every number. What nobody published is `unknown` there: of noise, none is simulated, and the report says so.

A figure of cost comes from what was measured on the chip wherever it is used as it was measured (same supply, rows,
converter and bits for a read), and from a formula otherwise. The formula was fitted to the UIUC benchmark of published
macros, which holds most of these chips too. It is not tuned to them here. Its bands are its own errors on papers that
it was not fitted to (leave one paper out, 80th percentile), so that one chip in five is expected outside.
"""

_ENERGY = """\
## Energy

TOPS/W of the bank, converters, array and drivers, at the bits in brackets (input/weight); a MAC is two operations.
*Measured* is the spec's energy of a read in other units: the benchmark derived most of these energies from the
published efficiencies, so that the column checks the units and no more. *Modelled* is the formula for the same circuit,
node, supply, rows and converter. The ratio is published over modelled.
"""

_TIME = """\
## Time of a read

Modelled by ZigZag-IMC's converter delay (arXiv 2305.18335), which reports use where no time was measured. Its band is
the 80th percentile over 44 rows of 32 papers of the UIUC benchmark. The ratio is published over modelled.
"""

_NOT_COMPARED = """\
## Not compared

"""


@dataclass(frozen=True, slots=True)
class Compared:
    """One operating point of a chip against the formula. Efficiencies in TOPS/W at the bits of ``quoted``."""

    spec: HardwareSpec
    point: OperatingPoint
    circuit: uiuc_fit.Circuit
    published: float
    measured: float
    modelled: float

    @property
    def name(self) -> str:
        """The chip, with its supply."""
        return f"{self.spec.name} at {self.point.supply_v:g} V"

    @property
    def quoted(self) -> str:
        """Bits that the efficiency is quoted for."""
        return f"{self.point.tops_per_w_input_bits}b/{self.point.tops_per_w_weight_bits}b"

    @property
    def inside(self) -> bool:
        """Whether the published efficiency lies in the band of the formula."""
        return uiuc_fit.BANDS[self.circuit].contains(self.published / self.modelled)


def compared() -> list[Compared]:
    """Return every operating point for which efficiency and energy were published, and the formula has all it needs."""
    found = []
    for spec, point in _points():
        settings = merge(load_spec(spec.name, [f"macros.m.cost.supply_v={point.supply_v}"]), ()).settings
        modelled, energy = modelled_read_energy(settings).value_fj, known(point.energy_fj_per_read)
        published = published_energy_fj(point)
        if modelled is None or energy is None or published is None:
            continue
        efficiency = [2e3 * point.rows / (reads_per_quoted_mac(point) * one) for one in (published, energy, modelled)]
        found.append(Compared(spec, point, circuit_of(settings.macro), *efficiency))
    return found


def page() -> str:
    """Return the page as Markdown."""
    chips = compared()
    outside = [chip for chip in chips if not chip.inside]
    energy = _table(
        (
            "chip",
            "venue",
            "circuit",
            "noise, % FS",
            "bits",
            "published",
            "measured",
            "modelled",
            "ratio",
            "band",
            "in it",
        ),
        (_energy_cells(chip) for chip in chips),
        numeric=6,
    )
    verdict = f"{len(outside)} of {len(chips)} operating points lie outside their band: {_names(outside)}."
    if outside:
        worst = max(outside, key=_factor)
        verdict += f" The farthest is {worst.name}, at {worst.published / worst.modelled:.2g} times the formula."
    times = [(spec, point, time) for spec, point in _points() if (time := known(point.read_ns)) is not None]
    slow = [spec.name for spec, point, time in times if not zigzag_imc.DELAY_BAND.contains(_time_ratio(point, time))]
    time_table = _table(
        ("chip", "supply, V", "rows", "ADC bits", "published, ns", "modelled, ns", "ratio"),
        (_time_cells(*one) for one in times),
        numeric=6,
    )
    time_verdict = (
        f"{len(slow)} of {len(times)} lie outside x/÷{zigzag_imc.DELAY_BAND.high:g}: {', '.join(slow) or 'none'}."
    )
    missing = [spec for spec in _chips() if spec.name not in {chip.spec.name for chip in chips}]
    lines = [f"- {spec.name}: {_why_missing(spec)}" for spec in missing]
    tail = [_NOT_COMPARED + "\n".join(lines)] if lines else []
    return (
        "\n".join([_INTRODUCTION, _ENERGY, energy, verdict, "", _TIME, time_table, time_verdict, "", *tail]).rstrip()
        + "\n"
    )


def _chips() -> list[HardwareSpec]:
    return [spec for spec in map(load_spec, shipped_names()) if spec.chip is not None]


def _points() -> Iterator[tuple[HardwareSpec, OperatingPoint]]:
    for spec in _chips():
        for point in spec.macros["m"].cost.measured:
            yield spec, point


def _energy_cells(chip: Compared) -> tuple[str, ...]:
    return (
        chip.name,
        venue_in_words(chip.spec),
        chip.circuit,
        noise_in_words(chip.spec, "m"),
        chip.quoted,
        f"{chip.published:.4g}",
        f"{chip.measured:.4g}",
        f"{chip.modelled:.4g}",
        f"{chip.published / chip.modelled:.2f}",
        str(uiuc_fit.BANDS[chip.circuit]),
        "yes" if chip.inside else "**no**",
    )


def _time_cells(spec: HardwareSpec, point: OperatingPoint, time_ns: float) -> tuple[str, ...]:
    modelled = zigzag_imc.conversion_ns(point.adc_bits, point.rows)
    figures = (f"{time_ns:g}", f"{modelled:.3g}", f"{_time_ratio(point, time_ns):.2f}")
    return (spec.name, f"{point.supply_v:g}", str(point.rows), str(point.adc_bits), *figures)


def _time_ratio(point: OperatingPoint, time_ns: float) -> float:
    return time_ns / zigzag_imc.conversion_ns(point.adc_bits, point.rows)


def _factor(chip: Compared) -> float:
    ratio = chip.published / chip.modelled
    return max(ratio, 1 / ratio)


def _names(chips: Sequence[Compared]) -> str:
    return ", ".join(chip.name for chip in chips) or "none"


def _why_missing(spec: HardwareSpec) -> str:
    cost = spec.macros["m"].cost
    if not cost.measured:
        return "no energy was published together with its conditions" + (
            "; its node is unknown, so that no formula applies" if known(cost.node_nm) is None else ""
        )
    return "no efficiency was published for its operating points"


def _table(header: Sequence[str], lines: Iterable[Sequence[str]], *, numeric: int) -> str:
    rule = ["---"] * (len(header) - numeric) + ["---:"] * numeric
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *lines)) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())
