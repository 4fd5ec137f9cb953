"""What cannot stand together with the encoding of the weights, or with cells of several bits."""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter

from asim_fx.spec.conflict import Conflict
from asim_fx.spec.schema import SiteSettings

_SUBTRACT = "macro.differential.subtract"
_ENCODING = "macro.weight_encoding"
_NOT_OF_DIFFERENCES = (
    "adc.dnl_sigma_lsb",
    "adc.inl_polynomial_lsb",
    "adc.code_table",
    "bitline.statistics",
    "noise.nonlinear_percent_fs",
)


def encoding_conflicts(settings: SiteSettings) -> Iterator[Conflict]:
    """Yield what of a site's macro cannot stand together with how it stores weights."""
    macro, layout = settings.macro, settings.macro.layout
    if layout.subtract == "analog" and not layout.differential:
        yield Conflict(
            (_SUBTRACT, _ENCODING),
            f"`differential.subtract: analog` needs two columns to subtract, and `weight_encoding` is "
            f"{layout.encoding}; use `weight_encoding: differential`",
        )
    if layout.cell_bits > settings.weight_bits:
        yield Conflict(
            ("macro.cell_bits", "weight_bits"),
            f"`cell_bits: {layout.cell_bits}` is more than a weight has: `weight_bits: {settings.weight_bits}`",
        )
    if macro.weights == "parallel":
        yield from _parallel_conflicts(settings)
    elif layout.subtracts:
        yield from _difference_conflicts(settings)
    signed = {"macro.weights": macro.weights == "parallel", _SUBTRACT: layout.subtracts}
    if any(signed.values()) and macro.adc.range == "window" and macro.adc.window.low_mac > 0:
        field = next(name for name, holds in signed.items() if holds)
        yield Conflict(
            ("macro.adc.window.low_mac", field),
            f"`adc.window.low_mac: {macro.adc.window.low_mac:g}` has no meaning where MAC values have a sign "
            f"(`{field.removeprefix('macro.')}`): the range goes as far below 0 as above; leave it out",
        )
    capacitors = macro.capacitors.unit_ff is not None or macro.capacitors.mismatch_percent > 0
    if capacitors and macro.capacitors.mismatch == "redrawn" and layout.cell_bits > 1:
        yield Conflict(
            ("macro.capacitors.mismatch", "macro.cell_bits"),
            f"`capacitors.mismatch: redrawn` is for one-bit cells, and `cell_bits` is {layout.cell_bits}; use "
            "`mismatch: die`",
        )


def _parallel_conflicts(settings: SiteSettings) -> Iterator[Conflict]:
    layout = settings.macro.layout
    if layout.encoding == "offset":
        yield Conflict(
            (_ENCODING, "macro.weights"),
            "`weights: parallel` reads the signed product, and `weight_encoding: offset` has none before its digital "
            "correction; use twos-complement or differential",
        )
    if layout.differential and not layout.subtracts:
        yield Conflict(
            (_SUBTRACT, _ENCODING, "macro.weights"),
            "`weights: parallel` reads the signed product at once, so that `weight_encoding: differential` needs "
            "`differential.subtract: analog`",
        )


def _difference_conflicts(settings: SiteSettings) -> Iterator[Conflict]:
    macro = settings.macro
    if macro.columns == 1:
        yield Conflict(
            ("macro.columns", _SUBTRACT),
            "`columns: 1` has no room for the two columns of `differential.subtract: analog`",
        )
    what = "the difference of two columns that `differential.subtract: analog` converts"
    if macro.adc.bits == 1:
        yield Conflict(
            ("macro.adc.bits", _SUBTRACT), f"`adc.bits: 1` leaves no bit for the magnitude of {what}; use 2 or more"
        )
    for name in _NOT_OF_DIFFERENCES:
        if attrgetter(name)(macro) not in (None, 0):
            yield Conflict((f"macro.{name}", _SUBTRACT), f"`{name}` is not defined for {what}; leave one of them out")
    capacitors = macro.capacitors.unit_ff is not None or macro.capacitors.mismatch_percent > 0
    if capacitors and macro.capacitors.mismatch == "redrawn":
        yield Conflict(
            ("macro.capacitors.mismatch", _SUBTRACT),
            f"`capacitors.mismatch: redrawn` has no formula for {what}; use `mismatch: die`",
        )
