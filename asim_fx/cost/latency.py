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

WRITES_STATED = "writes as the spec says"


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
    streaming = vector_s(plan).times(plan.site.vectors)
    if plan.site.static_weight or plan.tiles is None or streaming.value is None:
        return streaming
    writing = rows_write_s(plan.settings, min(plan.site.k, plan.tiles.rows))
    return Figure(streaming.value + (writing.value or 0.0), _both_models(streaming, writing), streaming.band)


def vector_s(plan: SitePlan) -> Figure:
    """Return the time that one vector of an analog site takes on arrays that hold all of it, in s."""
    if plan.bits is None:
        return unknown("not analog")
    return read_ns(plan.settings).times(1e-9 * read_steps(plan.bits, rows_per_converter(plan)))


def rows_write_s(settings: SiteSettings, rows: int) -> Figure:
    """Return the time of writing rows of a macro, one after another, in s: as the spec says, or a read's time each."""
    row_write = known(settings.macro.cost.row_write_ns)
    if row_write is None:
        return read_ns(settings).times(1e-9 * rows)
    return Figure(1e-9 * row_write * rows, WRITES_STATED, MEASURED)


def _both_models(reads: Figure, writes: Figure) -> str:
    return f"{reads.model}, {WRITES_STATED}" if writes.model == WRITES_STATED else reads.model


def columns_per_converter(macro: Macro) -> int:
    """Return how many columns share one converter: two at least, where it takes their difference."""
    stated = macro.cost.columns_per_adc
    return max(macro.adc.columns_per_adc if stated == "adc" else stated, 2 if macro.layout.subtracts else 1)


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
