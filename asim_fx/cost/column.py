"""Energy of one read of one column: measured, or by one of the models, in the parts that are known."""

from __future__ import annotations

import math
from dataclasses import dataclass

from asim_fx.cost import accelergy_adc, uiuc_fit
from asim_fx.cost.figure import MEASURED, NEEDS_TECHNOLOGY, NO_CONVERTER, Figure, unknown
from asim_fx.cost.latency import read_ns
from asim_fx.cost.measured import differences, fitting_point
from asim_fx.cost.uiuc_fit import Circuit
from asim_fx.spec.base import known
from asim_fx.spec.macro_cost import OperatingPoint
from asim_fx.spec.schema import Macro, SiteSettings

_CELL_BITS = "cells of several bits cost here what cells of one bit do"


@dataclass(frozen=True, slots=True)
class ReadEnergy:
    """Energy of one conversion, in fJ. A part is None where it is inside another one.

    Attributes:
        column: converter, array and drivers together, where nobody says how it divides.
        adc: the converter.
        array: the column of cells, and the drivers of its rows.
        note: what the report must say, or the empty string.
    """

    column: Figure | None = None
    adc: Figure | None = None
    array: Figure | None = None
    note: str = ""

    @property
    def value_fj(self) -> float | None:
        """The sum of the parts; None where one is unknown."""
        values = [part.value for part in (self.column, self.adc, self.array) if part is not None]
        return None if None in values else math.fsum(value for value in values if value is not None)


def circuit_of(macro: Macro) -> Circuit:
    """Return how a column adds up; where the spec leaves that open, as the macro's domain suggests."""
    if macro.cost.circuit != "auto":
        return macro.cost.circuit
    return "charge-redistribution" if macro.domain == "charge" else "current"


def read_energy(settings: SiteSettings) -> ReadEnergy:
    """Return the energy of one read of one column of a site's macro, by the model that its spec asks for."""
    cost = settings.macro.cost
    point = fitting_point(settings) if cost.model in ("auto", "measured") else None
    if point is not None and known(point.energy_fj_per_read) is not None:
        return _measured(point)
    note = ""
    if cost.model in ("auto", "measured") and cost.measured:
        nearest = min((differences(other, settings) for other in cost.measured), key=len)
        note = "not as measured: " + "; ".join(nearest or ["that operating point has no energy"])
    if cost.model == "measured":
        return ReadEnergy(column=unknown(note), note=note)
    return modelled_read_energy(settings, note)


def modelled_read_energy(settings: SiteSettings, note: str = "") -> ReadEnergy:
    """Do what ``read_energy`` does by formula, whatever was measured."""
    macro = settings.macro
    cost, bits = macro.cost, macro.adc.bits
    node, supply = known(cost.node_nm), known(cost.supply_v)
    if node is None or supply is None:
        return ReadEnergy(column=unknown(NEEDS_TECHNOLOGY), note=note)
    circuit = circuit_of(macro)
    model, band = f"uiuc-fit, {circuit}", uiuc_fit.BANDS[circuit]
    columns = 2 if macro.layout.subtracts and macro.weights != "parallel" else 1
    array = Figure(columns * uiuc_fit.array_energy_fj(macro.rows, supply, node, circuit), model, band)
    if macro.cell_bits > 1:
        note = "; ".join(part for part in (note, _CELL_BITS) if part)
    if bits == "ideal":
        return ReadEnergy(adc=unknown(NO_CONVERTER), array=array, note=note)
    if cost.model == "accelergy":
        return ReadEnergy(adc=_accelergy(settings, node), array=array, note=note)
    return ReadEnergy(adc=Figure(uiuc_fit.adc_energy_fj(bits, node), model, band), array=array, note=note)


def _measured(point: OperatingPoint) -> ReadEnergy:
    whole, adc = known(point.energy_fj_per_read), known(point.adc_energy_fj_per_read)
    model = f"measured at {point.supply_v:g} V"
    if whole is None or adc is None:
        return ReadEnergy(column=Figure(whole, model, MEASURED))
    return ReadEnergy(adc=Figure(adc, model, MEASURED), array=Figure(whole - adc, model, MEASURED))


def _accelergy(settings: SiteSettings, node_nm: float) -> Figure:
    bits, period = settings.macro.adc.bits, read_ns(settings).value
    if bits == "ideal" or bits < accelergy_adc.LEAST_BITS or period is None:
        return unknown(f"accelergy has no converters below {accelergy_adc.LEAST_BITS} bits")
    energy = accelergy_adc.energy_pj(bits, node_nm, frequency_hz=1e9 / period)
    return Figure(1e3 * energy, "accelergy-adc", accelergy_adc.ENERGY_BAND)
