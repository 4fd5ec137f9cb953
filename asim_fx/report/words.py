"""How figures and names are written for people."""

from __future__ import annotations

from collections.abc import Sequence

from asim_fx.report.rows import MappingReport, ReportRow, Shape

UNKNOWN = "unknown"
_UNITS = ("", "k", "M", "G", "T", "P", "E")


def count(value: float | None) -> str:
    """Return a count in three digits with its unit (``3.63 G``), whole below 1,000, ``unknown`` for None."""
    if value is None:
        return UNKNOWN
    scaled, unit = float(value), 0
    # 999,999 must become 1.00 M, not 1000 k: the step is taken where three digits no longer hold the number.
    while abs(scaled) >= (999.5 if unit else 1000) and unit < len(_UNITS) - 1:
        scaled, unit = scaled / 1000, unit + 1
    if not unit:
        return f"{value:.4g}"
    digits = 2 if abs(scaled) < 9.995 else 1 if abs(scaled) < 99.95 else 0
    return f"{scaled:.{digits}f} {_UNITS[unit]}"


_SMALL_UNITS = ("", "m", "µ", "n", "p", "f", "a")


def quantity(value: float | None, unit: str) -> str:
    """Return a figure in three digits with its unit (``3.63 µJ``), ``unknown`` for None."""
    if value is None:
        return UNKNOWN
    if value >= 1 or value == 0:
        return f"{count(value)}{'' if value >= 999.5 else ' '}{unit}"
    scaled, place = value, 0
    while scaled < 0.9995 and place < len(_SMALL_UNITS) - 1:
        scaled, place = scaled * 1000, place + 1
    return f"{scaled:.3g} {_SMALL_UNITS[place]}{unit}"


def area(value_mm2: float | None) -> str:
    """Return an area in three digits (``12.6 mm2``), ``unknown`` for None."""
    return UNKNOWN if value_mm2 is None else f"{float(f'{value_mm2:.3g}'):,g} mm2"


def efficiency(tops_per_w: float | None) -> str:
    """Return an efficiency in three digits (``12.6 TOPS/W``), ``unknown`` for None."""
    return UNKNOWN if tops_per_w is None else f"{tops_per_w:.3g} TOPS/W"


def share(value: float | None) -> str:
    """Return a share of 0..1 in percent. Only exactly nothing is 0 %, and only exactly everything 100 %."""
    if value is None:
        return UNKNOWN
    if value in (0, 1):
        return f"{100 * value:.0f} %"
    if value < 0.0005:
        return "<0.1 %"
    if 0.9995 <= value < 1:
        return ">99.9 %"
    return f"{100 * value:.1f} %"


def shape(value: Shape) -> str:
    """Return a shape as ``Nx64x56x56``; N is the batch."""
    return "x".join("N" if size is None else str(size) for size in value) or "scalar"


def printable(text: str) -> str:
    """Return a text of one line that cannot steer a terminal: a module may have any name."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def shorten(text: str, width: int) -> str:
    """Return a text of at most ``width`` characters; what is left out is left out in the middle."""
    if len(text) <= width:
        return text
    head = (width - 1) // 2
    tail = width - 1 - head
    return f"{text[:head]}…{text[len(text) - tail :]}"


def bits(row: ReportRow) -> str:
    """Return the bits of the stored and the streamed operand: ``8/8u``, u for an unsigned input."""
    if row.weight_bits is None or row.input_bits is None:
        return "-"
    return f"{row.weight_bits}/{row.input_bits}{'s' if row.signed else 'u'}"


def bit_plan(reads: Sequence[Sequence[int]] | None) -> str:
    """Return a bit plan in one line: ``8x8: 6 digital, 4x3 voted, 54 analog``.

    Stored planes x streamed planes; ``4x3 voted`` is four cells that are read three times each.
    """
    if reads is None:
        return "-"
    cells = [n for line in reads for n in line]
    parts = [f"{cells.count(0)} digital"] if 0 in cells else []
    parts += [f"{cells.count(n)}x{n} voted" for n in sorted({n for n in cells if n > 1})]
    parts += [f"{cells.count(1)} analog"] if 1 in cells else []
    planes = f"{len(reads)}x{len(reads[0]) if reads else 0}"
    return f"{planes}: {', '.join(parts)}"


def tiles(row: ReportRow) -> str:
    """Return row tiles x column tiles: ``9x2``."""
    if row.row_tiles is None or row.column_tiles is None:
        return "-"
    return f"{row.row_tiles}x{row.column_tiles}"


def footer(report: MappingReport) -> str:
    """Return what was verified, what computes the simulation and what made the report, in one line."""
    versions = ", ".join(f"{package} {version}" for package, version in report.versions.items())
    engine = f"engine: {report.engine}" if report.engine else ""
    return " · ".join(part for part in (report.verification, engine, versions) if part)
