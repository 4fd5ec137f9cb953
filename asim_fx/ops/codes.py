"""From a MAC value to what the converter puts out: a formula, or for noisy reads a table of the code's distribution."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from asim_fx.errors import NumericsError, UsageError
from asim_fx.nonidealities.reads import has_real_cells, has_spread, model_read, needs_columns
from asim_fx.ops.config import ReadEffects
from asim_fx.ops.normal import normal

LARGEST_TABLE = 65536
"""MAC values up to which the code is drawn from a table."""
MOST_CODES = 32
"""Codes that one MAC value may give, up to which the code is drawn from a table."""
_NOT_SIGNED = ("mean_mac", "thresholds_lsb", "dnl_sigma_lsb")
_NOT_PARALLEL = (*_NOT_SIGNED, "capacitor_sigma_percent")
_IN_STEPS = (
    "random_lsb_rms",
    "comparator_lsb_rms",
    "adc_offset_lsb",
    "adc_offset_sigma_lsb",
    "thresholds_lsb",
    "dnl_sigma_lsb",
)
_REACH = 6.6
"""Standard deviations beyond which no 32-bit word reaches."""


def top_code(effects: ReadEffects) -> int:
    """Return the code of full scale."""
    return effects.top_code


@dataclass(frozen=True, slots=True)
class Columns:
    """What is particular to the converter of each column: float32, of a shape that broadcasts to the MAC values'.

    Attributes:
        gain: factor on what the converter sees.
        offset: in fractions of its range, after the gain.
    """

    gain: Tensor
    offset: Tensor


def convert(
    mac: Tensor, effects: ReadEffects, full_scale: int, word: Tensor | None, columns: Columns | None = None
) -> Tensor:
    """Return the outcome of one read of each MAC value.

    Args:
        mac: MAC values; integers unless cells vary.
        effects: what the read does.
        full_scale: MAC value of the top code.
        word: random word of each read (int64), or None for a read without noise.
        columns: of converters that differ.

    Returns:
        int64 codes, or for an ideal converter the float32 value as a fraction of its range.
    """
    if word is not None:
        table = table_of(mac, effects, full_scale, columns)
        if table is not None:
            return table.draw(mac, word)
    value, sigma = before_noise(mac, effects, full_scale, columns)
    if word is not None and sigma is not None:
        # Two rounded operations, never a fused one.
        value = value + sigma * normal(word)
    return digitise(value, effects)


def table_of(mac: Tensor, effects: ReadEffects, full_scale: int, columns: Columns | None) -> CodeTable | None:
    """Return the table that noisy reads of these MAC values are drawn from, or None: then their values are drawn."""
    if columns is not None or has_real_cells(effects):
        return None
    return code_table(effects, full_scale, str(mac.device))


def before_noise(
    mac: Tensor, effects: ReadEffects, full_scale: int, columns: Columns | None
) -> tuple[Tensor, Tensor | None]:
    """Return what the converter sees before noise and its standard deviation, as float32 fractions of its range."""
    read = model_read(mac, effects, full_scale)
    value, sigma = read.converted, read.converted_sigma
    if columns is not None:
        value = value * columns.gain + columns.offset
    return value, sigma


def digitise(value: Tensor, effects: ReadEffects) -> Tensor:
    """Return what the converter puts out for what it sees; see ``convert``."""
    if effects.adc_bits is None:
        return value.clamp(-1 if effects.signed else 0, 1)
    return _code(value, effects)


@lru_cache(maxsize=256)
def reads_nothing_as_zero(effects: ReadEffects, full_scale: int) -> bool:
    """Whether a read without noise of a column on which nothing conducts gives 0, whatever the column."""
    return not needs_columns(effects) and not convert(torch.zeros(1), effects, full_scale, None).any()


def _code(value: Tensor, effects: ReadEffects) -> Tensor:
    top = top_code(effects)
    if effects.thresholds_lsb:
        return torch.searchsorted(_thresholds(effects.thresholds_lsb, value.device), value * top, right=True)
    return torch.round(value.clamp(-1 if effects.signed else 0, 1) * top).to(torch.int64)


@lru_cache(maxsize=64)
def _thresholds(levels: tuple[float, ...], device: torch.device) -> Tensor:
    return torch.tensor(levels, dtype=torch.float32, device=device)


@dataclass(frozen=True, slots=True)
class CodeTable:
    """The distribution of the code at each MAC value, by Walker's alias method: a draw looks up one column.

    Each MAC value has ``2**column_bits`` columns of the same probability. Column c gives code ``base + c`` for
    ``cut`` out of ``2**(32 - column_bits)`` words, and ``other`` for the rest.

    Attributes:
        lowest_mac: MAC value of the first row.
        column_bits: top bits of the word that choose the column; at most 15.
        base: int64 smallest code of each row.
        cut: int64, flattened rows of columns.
        other: int64 codes, flattened rows of columns.
    """

    lowest_mac: int
    column_bits: int
    base: Tensor
    cut: Tensor
    other: Tensor

    def draw(self, mac: Tensor, word: Tensor) -> Tensor:
        """Return the int64 code of each MAC value and word."""
        row = mac.to(torch.int64).sub_(self.lowest_mac).clamp_(0, self.base.numel() - 1)
        column = word >> (32 - self.column_bits)
        entry = (row << self.column_bits) + column
        cut = torch.take(self.cut, entry)
        rest = (word >> 16) & (2 ** (16 - self.column_bits) - 1)
        # The low half of the word decides only where the rest of the high half is 0.
        low = (rest == 0) & ((word & 0xFFFF) < (cut & 0xFFFF))
        direct = low | ((rest != 0) & (rest <= cut >> 16))
        return torch.where(direct, torch.take(self.base, row) + column, torch.take(self.other, entry))


@lru_cache(maxsize=64)
def code_table(effects: ReadEffects, full_scale: int, device: str) -> CodeTable | None:
    """Return the table of a noisy read, or None where it would be too large and the value is drawn instead.

    Probabilities are multiples of 2**-32: differences of the normal distribution function at the code boundaries,
    computed once, in float64, and rounded.
    """
    lowest_mac = -full_scale if effects.signed else 0
    entries = full_scale - lowest_mac + 1
    if effects.adc_bits is None or not has_spread(effects) or entries > LARGEST_TABLE:
        return None
    read = model_read(torch.arange(lowest_mac, full_scale + 1), effects, full_scale)
    value, sigma = read.converted.to(torch.float64), read.converted_sigma
    assert sigma is not None
    top = top_code(effects)
    spread = sigma.to(torch.float64).clamp(min=1e-300)
    if effects.thresholds_lsb:
        levels = _thresholds(effects.thresholds_lsb, value.device).to(torch.float64)
        first, last = (torch.searchsorted(levels, (value + reach * spread) * top) for reach in (-_REACH, _REACH))
        window = int((last - first).max()) + 1
    else:
        levels = None
        first = torch.floor((value - _REACH * spread) * top - 0.5).to(torch.int64)
        window = int(torch.ceil(2 * _REACH * sigma.max() * top)) + 2
    if window > 2 * MOST_CODES:
        return None
    boundaries = first[:, None] + torch.arange(window + 1)
    steps = boundaries + 0.5 if levels is None else levels[boundaries.clamp(max=top - 1)]
    reached = torch.special.ndtr((steps / top - value[:, None]) / spread[:, None])
    words = torch.round(reached * 2.0**32).to(torch.int64)
    words[boundaries < read.lowest * top] = 0
    words[boundaries >= top] = 2**32
    base = first + (words <= 0).sum(dim=1)
    words[words <= 0] = 2**32
    words = words.sort(dim=1).values
    most = int((words < 2**32).sum(dim=1).max())
    if most + 1 > MOST_CODES:
        return None
    exact = sigma == 0
    base[exact] = _code(read.converted[exact], effects)
    base.clamp_(read.lowest * top, top)  # Of values far outside the converter's range.
    words[exact] = 2**32
    column_bits = max(1, most.bit_length())
    columns = 2**column_bits
    reached_words = torch.full((entries, columns), 2**32, dtype=torch.int64)
    reached_words[:, :most] = words[:, :most]
    cut, other = _alias(reached_words.diff(dim=1, prepend=torch.zeros(entries, 1, dtype=torch.int64)))
    other += base[:, None]
    return CodeTable(lowest_mac, column_bits, base.to(device), cut.flatten().to(device), other.flatten().to(device))


def _alias(mass: Tensor) -> tuple[Tensor, Tensor]:
    """Return (cut, other column) of each column, for int64 ``mass`` (rows, columns) that adds up to 2**32 in each row.

    Walker (1977): the column that lacks most is filled from the one that has most, and is then done. In integers, so
    that probabilities are kept exactly.
    """
    rows, columns = mass.shape
    capacity = 2**32 // columns
    mass = mass.clone()
    number = torch.arange(columns)
    cut, other = torch.zeros_like(mass), number.repeat(rows, 1)
    done = torch.zeros_like(mass, dtype=torch.bool)
    for _ in range(columns):
        # The column's number makes each key unique: the choice among equals is the same everywhere.
        keys = mass * columns + number
        small = keys.masked_fill(done, 2**62).argmin(dim=1, keepdim=True)
        large = keys.masked_fill(done, -1).argmax(dim=1, keepdim=True)
        had = mass.gather(1, small)
        full = had == capacity
        cut.scatter_(1, small, torch.where(full, 0, had))
        other.scatter_(1, small, torch.where(full, small, large))
        mass.scatter_add_(1, large, torch.where(full, 0, had - capacity))
        mass.scatter_(1, small, torch.where(full, capacity, had))
        done.scatter_(1, small, True)
    return cut, other


def check_converter(effects: ReadEffects, site: str) -> None:
    """Refuse a read that means nothing.

    Raises:
        NumericsError: the window of the converter was never calibrated.
        UsageError: naming both fields that do not go together.
    """
    if not effects.window_known:
        message = f"site {site} has no calibrated window for its converter"
        raise NumericsError(message, hint="calibrate the model on some images, or use adc.range: rows")
    if effects.nonlinear_percent_fs and effects.compression_per_mac:
        message = f"site {site}: nonlinear_percent_fs (charge domain) excludes compression_per_mac (current domain)"
        raise UsageError(message, hint="set one of them to 0")
    if effects.signed:
        _check_signed(effects, site)
    if effects.adc_bits is None:
        for name in _IN_STEPS:
            if getattr(effects, name):
                message = f"site {site}: {name} needs the steps of a converter, and adc.bits: ideal has none"
                raise UsageError(message, hint="give the converter bits")


def _check_signed(effects: ReadEffects, site: str) -> None:
    what = "weights: parallel" if effects.parallel else "differential.subtract: analog"
    if effects.nonlinear_percent_fs:
        message = f"site {site}: nonlinear_percent_fs has no meaning with {what}"
        raise UsageError(message, hint="set nonlinear_percent_fs to 0")
    if effects.adc_bits == 1:
        message = f"site {site}: a 1-bit converter (adc.bits) cannot hold the signed MAC values of {what}"
        raise UsageError(message, hint="use at least 2 bits")
    for name in _NOT_PARALLEL if effects.parallel else _NOT_SIGNED:
        if getattr(effects, name):
            message = f"site {site}: {name} is not defined for the signed MAC values of {what}"
            raise UsageError(message, hint=f"leave {name} out")
    if effects.window is not None and effects.window[0]:
        message = f"site {site}: a window of the signed MAC values of {what} starts at 0 and goes as far below it"
        raise UsageError(message, hint="leave adc.window.low_mac out")
    if effects.capacitor_sigma_percent and effects.capacitors_redrawn:
        message = f"site {site}: capacitors that are drawn anew have no formula for the signed MAC values of {what}"
        raise UsageError(message, hint="use capacitors.mismatch: die")
