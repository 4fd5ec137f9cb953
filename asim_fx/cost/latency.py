"""How long a site takes on arrays that hold all of it: its vectors one after another, its tiles at once."""

from __future__ import annotations

from collections.abc import Sequence

from asim_fx.cost import zigzag_imc
from asim_fx.cost.figure import MEASURED, NO_CONVERTER, Figure, unknown
from asim_fx.cost.measured import fitting_point
from asim_fx.encoding import columns_per_output
from asim_fx.ir import BitPlan, SitePlan
from asim_fx.spec.base import known
from asim_fx.spec.schema import Macro, SiteSettings


def read_ns(settings: SiteSettings) -> Figure:
    """Return the time of one read of all converters of a macro, in ns: as the spec says, as measured, or modelled."""
    macro = settings.macro
    stated = known(macro.cost.read_ns)
    if stated is not None:
        return Figure(stated, "the spec's read_ns", MEASURED)
    point = fitting_point(settings)
    measured = None if point is None else known(point.read_ns)
    if point is not None and measured is not None:
        return Figure(measured, f"measured at {point.supply_v:g} V", MEASURED)
    if macro.adc.bits == "ideal":
        return unknown(NO_CONVERTER)
    delay = zigzag_imc.conversion_ns(macro.adc.bits, macro.rows)
    return Figure(delay, "zigzag-imc ADC delay", zigzag_imc.DELAY_BAND)


def latency_s(plan: SitePlan) -> Figure:
    """Return the time of one call of an analog site for one image, in s.

    Row tiles, column tiles and groups have arrays of their own and work at once; digital cycles keep up with the
    reads. A stored operand that is an activation is written first, row by row, into all arrays at once.
    """
    settings = plan.settings
    one_read = read_ns(settings)
    if plan.bits is None or plan.tiles is None:
        return unknown("not analog")
    reads = plan.site.vectors * read_steps(plan.bits, rows_per_converter(plan))
    if plan.site.static_weight:
        return one_read.times(1e-9 * reads)
    writes = min(plan.site.k, plan.tiles.rows)
    row_write = known(settings.macro.cost.row_write_ns)
    if row_write is None:  # one row is written in the time of one read
        return one_read.times(1e-9 * (reads + writes))
    whole = one_read.times(1e-9 * reads)
    return (
        whole
        if whole.value is None
        else Figure(whole.value + 1e-9 * row_write * writes, f"{whole.model}, writes as the spec says", whole.band)
    )


def columns_per_converter(macro: Macro) -> int:
    """Return how many columns share one converter: two at least, where it takes their difference."""
    return max(macro.cost.columns_per_adc, 2 if macro.layout.subtracts else 1)


def rows_per_converter(plan: SitePlan) -> int:
    """Return how many rows of the bit plan share one converter: a column each, a pair, or all columns of an output."""
    macro = plan.settings.macro
    together = columns_per_output(plan) if macro.weights == "parallel" else 2 if macro.layout.subtracts else 1
    return -(-columns_per_converter(macro) // together)


def read_steps(bits: BitPlan, columns_per_adc: int) -> int:
    """Return how many reads one vector takes, one after another.

    The streamed planes follow each other. Of each, a converter reads its columns in turn: neighbours, which hold the
    stored planes of an output in order. The converter that has most to do counts. A plane that is never read takes
    one read's time all the same, in digital logic.
    """
    planes = zip(*bits.reads, strict=True)
    return sum(max(1, _busiest(plane, columns_per_adc)) for plane in planes)


def _busiest(plane: Sequence[int], columns: int) -> int:
    """Return the reads of that converter whose ``columns`` neighbours need most."""
    around, rest = divmod(columns, len(plane))
    twice = [*plane, *plane]
    return around * sum(plane) + max(sum(twice[start : start + rest]) for start in range(len(plane)))
