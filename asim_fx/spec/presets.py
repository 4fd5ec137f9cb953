"""A spec's first macro in words: what it is, whose it is, and what was published about it."""

from __future__ import annotations

from collections.abc import Iterator

from asim_fx.spec.base import known
from asim_fx.spec.chip import NOT_PUBLISHED
from asim_fx.spec.macro_cost import OperatingPoint
from asim_fx.spec.schema import HardwareSpec, Macro


def adc_in_words(macro: Macro) -> str:
    """Return the resolution of a macro's converter."""
    return "ideal" if macro.adc.bits == "ideal" else f"{macro.adc.bits} bits"


def noise_in_words(spec: HardwareSpec, name: str) -> str:
    """Return the noise of a macro, in % of full scale where nothing else is said.

    ``none`` where there is none, and ``unknown`` where nobody published it.
    """
    macro = spec.macros[name]
    noise, comparator = macro.noise, macro.adc.comparator_noise_lsb_rms
    parts = [f"{noise.random_percent_fs:g} random"] * (noise.random_percent_fs > 0)
    parts += [f"{noise.random_lsb_rms:g} LSB random"] * (noise.random_lsb_rms > 0)
    parts += [] if noise.enob is None else [f"ENOB {noise.enob:g}"]
    parts += [] if noise.sndr_db is None else [f"SNDR {noise.sndr_db:g} dB"]
    parts += [f"{noise.nonlinear_percent_fs:g} nonlinear"] * (noise.nonlinear_percent_fs > 0)
    parts += [f"{comparator:g} LSB comparator"] * (comparator > 0)
    source = "" if spec.chip is None else spec.chip.source_of(f"macros.{name}.noise.random_percent_fs")
    return ", ".join(parts) or (NOT_PUBLISHED if source == NOT_PUBLISHED else "none")


def geometry_in_words(spec: HardwareSpec, name: str) -> str:
    """Return rows x columns of a macro, with what nobody published as ``unknown``."""
    macro = spec.macros[name]
    source = "" if spec.chip is None else spec.chip.source_of(f"macros.{name}.columns")
    return f"{macro.rows} x {NOT_PUBLISHED if source == NOT_PUBLISHED else macro.columns}"


def venue_in_words(spec: HardwareSpec) -> str:
    """Return where the chip of a spec was published (``ISSCC 2021``), or nothing for a chip of nobody's."""
    return "" if spec.chip is None else " ".join(str(part) for part in (spec.chip.venue, spec.chip.year) if part)


def node_in_words(macro: Macro) -> str:
    """Return the technology of a macro."""
    node = known(macro.cost.node_nm)
    return NOT_PUBLISHED if node is None else f"{node:g} nm"


def efficiency_in_words(point: OperatingPoint) -> str:
    """Return the published efficiency of an operating point with the bits that it is quoted for."""
    value = known(point.tops_per_w)
    if value is None:
        return NOT_PUBLISHED
    return f"{value:.4g} TOPS/W ({point.tops_per_w_input_bits}b/{point.tops_per_w_weight_bits}b)"


def best_efficiency_in_words(macro: Macro) -> str:
    """Return the efficiency that was published for the macro's own supply; nothing where it is nobody's."""
    points = [point for point in macro.cost.measured if point.supply_v == macro.cost.supply_v]
    return efficiency_in_words(points[0]) if points else ""


def explanation(spec: HardwareSpec) -> Iterator[str]:
    """Yield lines about the chip of a spec: its publication, what was measured, and what is unknown."""
    chip = spec.chip
    if chip is None:
        return
    yield f"{chip.title} ({chip.authors}, {venue_in_words(spec)})"
    for name, macro in spec.macros.items():
        supply = known(macro.cost.supply_v)
        yield (
            f"macro {name}: {geometry_in_words(spec, name)} (rows x columns) {chip.cell} cells, "
            f"{node_in_words(macro)}, {f'{supply:g} V' if supply else 'supply unknown'}, {macro.cost.circuit}, "
            f"ADC {adc_in_words(macro)}, "
            f"noise {noise_in_words(spec, name)}"
        )
        for point in macro.cost.measured:
            yield "  measured at " + ", ".join(_point_in_words(point))
    yield from (f"  also published: {fact}" for fact in chip.facts)
    if chip.unpublished():
        yield f"  not published, and simulated as written below: {', '.join(chip.unpublished())}"


def _point_in_words(point: OperatingPoint) -> Iterator[str]:
    energy, time = known(point.energy_fj_per_read), known(point.read_ns)
    yield f"{point.supply_v:g} V"
    yield "energy unknown" if energy is None else f"{energy / 1e3:.4g} pJ for a read"
    yield "time unknown" if time is None else f"{time:g} ns for a read"
    yield efficiency_in_words(point)
