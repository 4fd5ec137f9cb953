"""What there is to schedule, as plain numbers: layers that hold macros, and the calls that use them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """A time in s, with the band that it lies in. None: not known."""

    value: float | None
    low: float | None
    high: float | None

    def plus(self, other: Span, times: float = 1.0) -> Span:
        """Return the sum of this and ``times`` the other, as if both erred the same way."""
        return Span(
            _sum(self.value, other.value, times),
            _sum(self.low, other.low, times),
            _sum(self.high, other.high, times),
        )

    def times(self, factor: float) -> Span:
        """Return ``factor`` times as long."""
        return NO_TIME.plus(self, factor)

    @classmethod
    def longest(cls, spans: Iterable[Span]) -> Span:
        """Return the longest of some; nothing lasts no time."""
        found = list(spans)
        return cls(_most(s.value for s in found), _most(s.low for s in found), _most(s.high for s in found))


def _sum(one: float | None, other: float | None, times: float) -> float | None:
    return None if one is None or other is None else one + times * other


def _most(values: Iterable[float | None]) -> float | None:
    found = list(values)
    return None if None in found else max((value for value in found if value is not None), default=0.0)


NO_TIME = Span(0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Layer:
    """A matrix that macros hold: that of one row of the report.

    Attributes:
        name: of the row.
        macro: name of the macro kind.
        macros: how many one copy needs.
        stays: whether it is weights, rather than an activation that is written for each image.
        write: time of writing it into its macros, all of them at once.
        bits: of one copy.
        load_j: energy of bringing and writing one copy once; None where not known.
    """

    name: str
    macro: str
    macros: int
    stays: bool = True
    write: Span = NO_TIME
    bits: int = 0
    load_j: float | None = 0.0


@dataclass(frozen=True, slots=True)
class Call:
    """One use of a layer for one image.

    Attributes:
        label: of the site.
        layer: number of its layer.
        vectors: streamed one after another through each copy.
        vector: time of one of them.
        after: numbers of the calls whose results it needs, all smaller than its own.
    """

    label: str
    layer: int
    vectors: int
    vector: Span
    after: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Workload:
    """A model and the chip that it runs on.

    Attributes:
        layers: what macros hold.
        calls: in an order in which each follows those whose results it needs.
        counts: macro kind -> how many there are; None: as many as are needed.
        load_bits_per_s: rate at which weights reach the chip; None: as fast as rows are written.
        duplicate: whether macros that are left hold copies.
    """

    layers: tuple[Layer, ...]
    calls: tuple[Call, ...]
    counts: Mapping[str, int | None]
    load_bits_per_s: float | None = None
    duplicate: bool = True

    def passes(self, layer: Layer) -> int:
        """Return how often the macros are filled to work through one layer: once, unless it exceeds the chip."""
        count = self.counts[layer.macro]
        return 1 if count is None else -(-layer.macros // count)

    def at_once(self, layer: Layer) -> int:
        """Return how many macros hold a copy of a layer at the same time."""
        count = self.counts[layer.macro]
        return layer.macros if count is None else min(layer.macros, count)

    def needed(self, layers: Iterable[int]) -> dict[str, int]:
        """Return how many macros of each kind hold one copy of some layers."""
        found = dict.fromkeys(self.counts, 0)
        for number in layers:
            found[self.layers[number].macro] += self.layers[number].macros
        return found

    def fits(self, layers: Iterable[int]) -> bool:
        """Return whether some layers are on the chip together."""
        return all(
            (count := self.counts[macro]) is None or used <= count for macro, used in self.needed(layers).items()
        )

    def load_time(self, layers: Iterable[int]) -> Span:
        """Return the time of filling the macros with the weights of some layers, each of which has macros of its own.

        All macros are written at once, row by row, as fast as the weights reach the chip. Of a layer that alone exceeds
        the chip, this is one of its parts.
        """
        loaded = [self.layers[number] for number in layers if self.layers[number].stays]
        written = Span.longest(layer.write for layer in loaded)
        if self.load_bits_per_s is None or written.value is None:
            return written
        brought = math.fsum(layer.bits / self.passes(layer) for layer in loaded) / self.load_bits_per_s
        return Span.longest((written, Span(brought, brought, brought)))

    def call_time(self, number: int, copies: int = 1) -> Span:
        """Return how long one call takes: its vectors, on as many copies, and writing what does not stay.

        A layer that alone exceeds the chip takes this time in each pass, and is loaded again between them.
        """
        call = self.calls[number]
        layer = self.layers[call.layer]
        written = NO_TIME if layer.stays else layer.write
        once = written.plus(call.vector, -(-call.vectors // copies))
        passes = self.passes(layer)
        return once if passes == 1 else once.times(passes).plus(self.load_time((call.layer,)), passes - 1)
