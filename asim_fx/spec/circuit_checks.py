"""What of a macro's circuit cannot stand together: noise, converter, bitline, capacitors and cells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from asim_fx.nonidealities.noise_units import enob_of_sndr
from asim_fx.spec.conflict import Conflict
from asim_fx.spec.schema import Macro, SiteSettings

MOST_BITS_WITH_STEPS = 12
"""Resolution up to which each step of a converter has a level of its own."""
_ONE_NOISE = "noise.random_percent_fs", "noise.random_lsb_rms", "noise.enob", "noise.sndr_db"
_ONE_CURVE = "adc.dnl_sigma_lsb", "adc.inl_polynomial_lsb", "adc.code_table"
_IN_STEPS = (*_ONE_NOISE[1:], *_ONE_CURVE, "adc.offset_lsb", "adc.offset_sigma_lsb", "adc.comparator_noise_lsb_rms")
_NOT_SIGNED = (*_ONE_CURVE, "bitline.statistics", "capacitors.unit_ff", "capacitors.mismatch_percent")


def circuit_conflicts(settings: SiteSettings) -> Iterator[Conflict]:
    """Yield what of a site's macro cannot stand together."""
    macro = settings.macro
    yield from _one_of(macro, _ONE_NOISE, "the same noise")
    yield from _one_of(macro, _ONE_CURVE, "the steps of the converter")
    yield from _one_of(macro, ("capacitors.unit_ff", "capacitors.mismatch_percent"), "the mismatch of capacitors")
    if macro.adc.bits == "ideal":
        for name in _given(macro, _IN_STEPS):
            yield _both(name, "adc.bits", f"`{name}` is in steps of a converter, and `adc.bits: ideal` has none")
    else:
        yield from _resolution_conflicts(macro, macro.adc.bits)
    if macro.weights == "parallel":
        for name in _given(macro, _NOT_SIGNED):
            yield _both(name, "weights", f"`{name}` is defined for bit planes only, and `weights` is parallel")
    yield from _range_conflicts(macro)
    yield from _array_conflicts(settings)


def polynomial_thresholds(coefficients: Sequence[float], bits: int) -> tuple[float, ...]:
    """Return the level of the step to each code, 1 to 2**bits - 1, in ideal steps.

    Args:
        coefficients: of the integral nonlinearity in steps over code / (2**bits - 1), constant first.
        bits: of the converter.
    """
    top = 2**bits - 1
    return tuple(
        code - 0.5 + sum(a * (code / top) ** power for power, a in enumerate(coefficients))
        for code in range(1, top + 1)
    )


def _resolution_conflicts(macro: Macro, bits: int) -> Iterator[Conflict]:
    noise, adc = macro.noise, macro.adc
    if noise.enob is not None and noise.enob > bits:
        yield _both("noise.enob", "adc.bits", f"`noise.enob: {noise.enob:g}` is more than `adc.bits: {bits}`")
    if noise.sndr_db is not None and not 0 < (enob := enob_of_sndr(noise.sndr_db)) <= bits:
        message = f"`noise.sndr_db: {noise.sndr_db:g}` is {enob:.2f} effective bits; it must be above 0 and at most "
        yield _both("noise.sndr_db", "adc.bits", f"{message}`adc.bits: {bits}`")
    curves = _given(macro, _ONE_CURVE)
    for name in curves if bits > MOST_BITS_WITH_STEPS else ():
        yield _both(name, "adc.bits", f"`{name}` needs `adc.bits` of {MOST_BITS_WITH_STEPS} or less, not {bits}")
    if adc.inl_polynomial_lsb is not None and bits <= MOST_BITS_WITH_STEPS:
        levels = polynomial_thresholds(adc.inl_polynomial_lsb, bits)
        falls = next((code for code in range(2, len(levels) + 1) if levels[code - 1] < levels[code - 2]), None)
        if falls is not None:
            message = f"with `adc.inl_polynomial_lsb` the step to code {falls} comes before the step to {falls - 1}"
            yield _both("adc.inl_polynomial_lsb", "adc.bits", f"{message}: codes must not fall as the input rises")


def _range_conflicts(macro: Macro) -> Iterator[Conflict]:
    adc, window = macro.adc, macro.adc.window
    if adc.range != "window":
        for name in _given(macro, ("adc.window.low_mac", "adc.window.high_mac")):
            yield _both(name, "adc.range", f"`{name}` needs `adc.range: window`, not `{adc.range}`")
        if adc.range == "calibrated" and adc.bits == "ideal":
            message = "`adc.range: calibrated` chooses what the codes stand for, and `adc.bits: ideal` has none"
            yield _both("adc.range", "adc.bits", message)
    elif window.high_mac is None:
        yield _both("adc.range", "adc.window.high_mac", "`adc.range: window` needs `adc.window.high_mac`")
    elif window.low_mac >= window.high_mac:
        message = f"`adc.window.low_mac: {window.low_mac:g}` must be below `adc.window.high_mac: {window.high_mac:g}`"
        yield _both("adc.window.low_mac", "adc.window.high_mac", message)
    elif window.high_mac > macro.rows:
        message = f"`adc.window.high_mac: {window.high_mac:g}` is more than a column of `rows: {macro.rows}` can reach"
        yield _both("adc.window.high_mac", "rows", message)
    if adc.columns_per_adc > macro.columns:
        message = f"`adc.columns_per_adc: {adc.columns_per_adc}` is more than there are: `columns: {macro.columns}`"
        yield _both("adc.columns_per_adc", "columns", message)


def _array_conflicts(settings: SiteSettings) -> Iterator[Conflict]:
    macro = settings.macro
    capacitors = _given(macro, ("capacitors.unit_ff", "capacitors.mismatch_percent"))
    if macro.domain == "current":
        for name in capacitors:
            yield _both(name, "domain", f"`{name}` is an effect of the charge domain, and `domain` is current")
    if capacitors and macro.capacitors.mismatch == "redrawn" and settings.input_encoding > 1:
        message = "`capacitors.mismatch: redrawn` is for one-bit input planes, and `input_encoding` is "
        yield Conflict(
            ("macro.capacitors.mismatch", "input_encoding"), f"{message}{settings.input_encoding}; use `mismatch: die`"
        )
    if macro.bitline.statistics is not None:
        own = ("bitline.gain",) if macro.bitline.gain != 1 else ()
        others = ("current.compression_per_mac", "noise.nonlinear_percent_fs")
        for name in (*own, *_given(macro, others), *capacitors):
            message = f"`bitline.statistics` is all that the column does, so that `{name}` would count twice"
            yield _both("bitline.statistics", name, f"{message}; leave one of them out")
    cells = macro.cells
    if cells.stuck_at_0_percent + cells.stuck_at_1_percent > 100:
        yield _both(
            "cells.stuck_at_0_percent",
            "cells.stuck_at_1_percent",
            "`cells.stuck_at_0_percent` and `cells.stuck_at_1_percent` are more than all cells together",
        )


def _one_of(macro: Macro, names: Sequence[str], what: str) -> Iterator[Conflict]:
    first, *others = [*_given(macro, names), ""]
    for other in others[:-1]:
        yield _both(other, first, f"`{other}` and `{first}` both say {what}; leave one of them out, or 0")


def _given(macro: Macro, names: Sequence[str]) -> list[str]:
    """Return which of these settings are neither left out nor 0."""
    found = []
    for name in names:
        value: object = macro
        for part in name.split("."):
            value = getattr(value, part)
        if value is not None and value != 0:
            found.append(name)
    return found


def _both(first: str, second: str, message: str) -> Conflict:
    return Conflict((f"macro.{first}", f"macro.{second}"), message)
