"""Area of the arrays that hold a site."""

from __future__ import annotations

from asim_fx.cost import accelergy_adc, zigzag_imc
from asim_fx.cost.column import read_energy
from asim_fx.cost.figure import MEASURED, NO_CONVERTER, Figure, unknown
from asim_fx.cost.latency import columns_per_converter, read_ns
from asim_fx.cost.weight_loading import cell_rows
from asim_fx.ir import SitePlan
from asim_fx.spec.base import known
from asim_fx.spec.schema import SiteSettings


def arrays_of(plan: SitePlan) -> int:
    """Return how many arrays hold an analog site: no two groups share one."""
    return 0 if plan.tiles is None else plan.tiles.row_tiles * plan.tiles.column_tiles * plan.site.groups


def macro_adc_area_mm2(settings: SiteSettings) -> Figure:
    """Return the area of all converters of one macro, in mm2."""
    macro = settings.macro
    bits, converters = macro.adc.bits, -(-macro.columns // columns_per_converter(macro))
    if bits == "ideal":
        return unknown(NO_CONVERTER)
    if macro.cost.model != "accelergy":
        return Figure(converters * zigzag_imc.adc_area_mm2(bits), "zigzag-imc ADC area", zigzag_imc.AREA_BAND)
    energy, period, node = read_energy(settings).adc, read_ns(settings).value, known(macro.cost.node_nm)
    if energy is None or energy.value is None or period is None or node is None:
        return unknown("no accelergy converter of these bits and this node")
    each = 1e-6 * accelergy_adc.area_um2(1e-3 * energy.value, node, frequency_hz=1e9 / period)
    return Figure(converters * each, "accelergy-adc", accelergy_adc.AREA_BAND)


def macro_area_mm2(settings: SiteSettings) -> Figure:
    """Return the area of one macro, in mm2: as the spec says, or its cells and converters."""
    macro = settings.macro
    whole, cell = known(macro.cost.macro_area_mm2), known(macro.cost.cell_area_um2)
    if whole is not None:
        return Figure(whole, "the spec's macro_area_mm2", MEASURED)
    adcs = macro_adc_area_mm2(settings)
    if cell is None:
        return unknown("needs `cost.cell_area_um2` or `cost.macro_area_mm2` of the macro")
    if adcs.value is None:
        return adcs
    cells = 1e-6 * cell * cell_rows(macro) * macro.columns
    return Figure(adcs.value + cells, f"{adcs.model}, the spec's cell_area_um2", adcs.band)
