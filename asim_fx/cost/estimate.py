"""What one call of a site costs for one image."""

from __future__ import annotations

from dataclasses import dataclass, fields

from asim_fx.cost.accumulation import accumulation_energy_j
from asim_fx.cost.area import arrays_of, macro_adc_area_mm2, macro_area_mm2
from asim_fx.cost.column import read_energy
from asim_fx.cost.digital import hybrid_energy_j, integer_energy_j
from asim_fx.cost.figure import Figure, total
from asim_fx.cost.latency import latency_s
from asim_fx.cost.weight_loading import write_energy_j
from asim_fx.ir import SitePlan, Target


@dataclass(frozen=True, slots=True)
class EnergyBreakdown:
    """Where the energy of one image goes, in J. None: the site has no such part, or it is inside another one.

    Attributes:
        column: converter, array and drivers together, where a measurement does not say how they divide.
        adc: converters.
        array: columns of cells, with the drivers of their rows.
        accumulation: adders behind the converters, votes included.
        digital: digital cycles (HCiM), or all of an integer site.
        loading: writing a stored operand that is an activation.
    """

    column: Figure | None = None
    adc: Figure | None = None
    array: Figure | None = None
    accumulation: Figure | None = None
    digital: Figure | None = None
    loading: Figure | None = None

    def parts(self) -> dict[str, Figure]:
        """Return the parts that the site has, by name."""
        named = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: figure for name, figure in named if figure is not None}

    @property
    def bank_j(self) -> float | None:
        """Energy of the bank, which is what published efficiencies count: converters, arrays and drivers."""
        return total(part.value for part in (self.column, self.adc, self.array) if part is not None)

    @property
    def total_j(self) -> float | None:
        """Energy of all parts; None where one is unknown."""
        return total(part.value for part in self.parts().values())

    @property
    def low_j(self) -> float | None:
        """Lower end of the band, as if all models erred the same way."""
        return total(part.low for part in self.parts().values())

    @property
    def high_j(self) -> float | None:
        """Upper end of the band."""
        return total(part.high for part in self.parts().values())


@dataclass(frozen=True, slots=True)
class SiteCost:
    """What one call of a site costs.

    Attributes:
        energy: for one image.
        latency: for one image, in s; None for a site in digital logic, whose engine the spec does not describe.
        area: of the arrays that hold the site, in mm2; None likewise.
        adc_area: of their converters, in mm2.
        setup: energy of writing weights that then stay, in J; None where there are none.
        notes: what must be said about it.
    """

    energy: EnergyBreakdown
    latency: Figure | None = None
    area: Figure | None = None
    adc_area: Figure | None = None
    setup: Figure | None = None
    notes: tuple[str, ...] = ()


def site_cost(plan: SitePlan) -> SiteCost | None:
    """Return what one call of a site costs for one image; None for a float site, which is not on the chip."""
    if plan.target is Target.FLOAT:
        return None
    if plan.target is Target.INTEGER or plan.bits is None:
        return SiteCost(EnergyBreakdown(digital=integer_energy_j(plan)))
    one, arrays, writing = read_energy(plan.settings), arrays_of(plan), write_energy_j(plan)
    stays = plan.site.static_weight
    energy = EnergyBreakdown(
        column=_joules(one.column, plan.reads),
        adc=_joules(one.adc, plan.reads),
        array=_joules(one.array, plan.reads),
        accumulation=accumulation_energy_j(plan),
        digital=hybrid_energy_j(plan),
        loading=None if stays else writing,
    )
    return SiteCost(
        energy,
        latency=latency_s(plan),
        area=macro_area_mm2(plan.settings).times(arrays),
        adc_area=macro_adc_area_mm2(plan.settings).times(arrays),
        setup=writing if stays else None,
        notes=(one.note,) if one.note else (),
    )


def _joules(one_fj: Figure | None, reads: int) -> Figure | None:
    return None if one_fj is None else one_fj.times(1e-15 * reads)
