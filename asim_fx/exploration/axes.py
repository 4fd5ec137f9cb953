"""``--set path=values``: the values that a sweep gives a field of the spec, and the grid of several fields."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from asim_fx.errors import UsageError
from asim_fx.spec.yaml_text import parse_value

Settings = tuple[tuple[str, str], ...]
"""Fields of the spec and their values in YAML, as ``load_spec`` takes them when joined by ``=``."""

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER}):({_NUMBER}):({_NUMBER})")
_MOST_VALUES = 10_000
_HINT = "for example macros.m.adc.bits=5,6,7,8, or macros.m.noise.random_percent_fs=0:0.4:9 (first:last:how many)"


@dataclass(frozen=True, slots=True)
class Axis:
    """A field of the spec and the values that a sweep gives it.

    Attributes:
        path: dotted, from the root of the spec.
        values: in YAML, in the order given.
    """

    path: str
    values: tuple[str, ...]

    @property
    def numbers(self) -> tuple[float, ...] | None:
        """The values as numbers; None where some value is none."""
        parsed = [parse_value(value) for value in self.values]
        if any(isinstance(value, bool) or not isinstance(value, (int, float)) for value in parsed):
            return None
        return tuple(map(float, parsed))


def parse_axis(text: str) -> Axis:
    """Return the axis that ``path=values`` means.

    Values are a list, ``5,6,7,8``, whose commas inside brackets or quotes do not count, or a range,
    ``first:last:count``: ``count`` equally spaced numbers, both ends included.

    Raises:
        UsageError: it means none.
    """
    path, equals, values = (part.strip() for part in text.partition("="))
    if not equals or not all(path.split(".")):
        message = f"--set {text}: must look like path.to.field=values"
        raise UsageError(message, hint=_HINT)
    found = _range(text, values) if ":" in values and not re.search(r"[\[{\"']", values) else _split(text, values)
    return Axis(path, tuple(dict.fromkeys(found)))


def parse_axes(texts: Sequence[str]) -> tuple[Axis, ...]:
    """Return the axes of a sweep.

    Raises:
        UsageError: one is malformed, or two are of the same field, or of a field and a part of it so that one undoes
            values of the other.
    """
    axes = tuple(map(parse_axis, texts))
    paths = [axis.path for axis in axes]
    twice = sorted({path for path in paths if paths.count(path) > 1})
    if twice:
        message = f"--set {twice[0]} is given twice"
        raise UsageError(message, hint="give all values of a field in one --set, with commas")
    for position, axis in enumerate(axes):
        for number, outer in enumerate(axes):
            if axis.path.startswith(f"{outer.path}.") and (number > position or len(outer.values) > 1):
                message = f"--set {outer.path} overlaps --set {axis.path}, which is a part of it"
                raise UsageError(message, hint=f"give --set {outer.path} first and with one value, or leave one out")
    return axes


def size(axes: Sequence[Axis]) -> int:
    """Return how many cells the grid has."""
    return math.prod(len(axis.values) for axis in axes)


def grid(axes: Sequence[Axis]) -> Iterator[Settings]:
    """Yield every combination of values; the last axis changes fastest."""
    for values in itertools.product(*(axis.values for axis in axes)):
        yield tuple(zip((axis.path for axis in axes), values, strict=True))


def overrides(settings: Settings) -> list[str]:
    """Return settings as ``load_spec`` takes them."""
    return [f"{path}={value}" for path, value in settings]


def _range(text: str, values: str) -> list[str]:
    match = _RANGE.fullmatch(values.replace(" ", ""))
    if match is None or not match[3].isdecimal():
        message = f"--set {text}: {values!r} is no range first:last:count"
        raise UsageError(message, hint=_HINT)
    first, last, count = Decimal(match[1]), Decimal(match[2]), int(match[3])
    if not 1 <= count <= _MOST_VALUES:
        message = f"--set {text}: a range has 1 to {_MOST_VALUES:,} values, not {count:,}"
        raise UsageError(message, hint=_HINT)
    if (first == last) != (count == 1):
        why = "starts where it ends" if first == last else "of one value cannot hold both of its ends"
        message = f"--set {text}: the range {why}"
        raise UsageError(message, hint=_HINT)
    if count == 1:
        return [_number(first)]
    # Decimal, so that 0:0.4:9 holds 0.15 and not 0.15000000000000002.
    return [_number(first + (last - first) * step / (count - 1)) for step in range(count)]


def _number(value: Decimal) -> str:
    rounded = +value.quantize(Decimal(1)) if value == value.to_integral_value() else value
    return f"{rounded:f}" if rounded == rounded.to_integral_value() else f"{float(f'{rounded:.12g}')!r}"


def _split(text: str, values: str) -> list[str]:
    parts, depth, quote = [""], 0, ""
    for character in values:
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        depth += (character in "[{") - (character in "]}") if not quote else 0
        if character == "," and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += character
    parts = [part.strip() for part in parts]
    if quote or depth or not all(parts):
        message = f"--set {text}: {'a value is missing' if not all(parts) else 'a bracket or quote is not closed'}"
        raise UsageError(message, hint=_HINT)
    for part in parts:
        _check_yaml(text, part)
    return parts


def _check_yaml(text: str, part: str) -> Any:
    try:
        return parse_value(part)
    except ValueError as error:
        message = f"--set {text}: {error}"
        raise UsageError(message, hint=_HINT) from error
