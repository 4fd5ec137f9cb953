"""What was measured on silicon, wherever a macro is used as it was measured."""

from __future__ import annotations

from asim_fx.spec.base import known
from asim_fx.spec.macro_cost import OperatingPoint
from asim_fx.spec.schema import SiteSettings


def fitting_point(settings: SiteSettings) -> OperatingPoint | None:
    """Return the operating point that holds for the settings of a site: same supply, rows, ADC and bits for a read."""
    return next((point for point in settings.macro.cost.measured if not differences(point, settings)), None)


def differences(point: OperatingPoint, settings: SiteSettings) -> list[str]:
    """Return in words in what the settings of a site differ from the conditions of an operating point."""
    macro = settings.macro
    parallel = macro.weights == "parallel"
    conditions = (
        ("supply_v", macro.cost.supply_v, point.supply_v),
        ("rows", macro.rows, point.rows),
        ("adc.bits", macro.adc.bits, point.adc_bits),
        ("input bits of a read", input_bits_per_read(settings), point.input_bits_per_read),
        ("weight bits of a read", settings.weight_bits if parallel else macro.cell_bits, point.weight_bits_per_read),
    )
    return [f"{name} {here}, measured at {there}" for name, here, there in conditions if here != there]


def input_bits_per_read(settings: SiteSettings) -> int:
    """Return how many bits of the input one read applies."""
    return settings.input_bits if settings.macro.weights == "parallel" else settings.input_encoding


def published_energy_fj(point: OperatingPoint) -> float | None:
    """Return the energy of a read that the published efficiency stands for, in fJ: 2 operations for each MAC.

    A MAC of the quoted bits takes ``input_bits / input_bits_per_read x weight_bits / weight_bits_per_read`` reads.
    """
    efficiency = known(point.tops_per_w)
    return None if efficiency is None else 2 * point.rows / (reads_per_quoted_mac(point) * efficiency) * 1e3


def reads_per_quoted_mac(point: OperatingPoint) -> float:
    """Return how many reads a MAC of the bits takes that ``tops_per_w`` is quoted for."""
    inputs = point.tops_per_w_input_bits / point.input_bits_per_read
    return inputs * point.tops_per_w_weight_bits / point.weight_bits_per_read
