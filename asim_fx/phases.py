"""The stride phases of a transposed convolution: each is an ordinary convolution over the taps that it uses.

Along one dimension, output ``o`` of a transposed convolution with stride ``s``, padding ``p`` and dilation ``d`` adds
up the taps ``t`` with ``t * d = o + p (mod s)``. Outputs with the same remainder use the same taps: they are a phase.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from asim_fx.ir import ConvGeometry


@dataclass(frozen=True, slots=True)
class AxisPhase:
    """One phase along one dimension.

    Attributes:
        first: its first output; the others follow at every stride.
        outputs: how many there are, possibly none.
        tap: its first tap.
        tap_step: distance between its taps.
        taps: how many there are, at least one.
        start: position in the input of the first output's window, negative before the input begins.
        dilation: distance in the input between neighbouring taps. Going up in the input, taps go down.
    """

    first: int
    outputs: int
    tap: int
    tap_step: int
    taps: int
    start: int
    dilation: int

    @property
    def window(self) -> int:
        """Length of the input that the phase reads, from ``start``."""
        return self.outputs + (self.taps - 1) * self.dilation


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase: one entry for each spatial dimension."""

    axes: tuple[AxisPhase, ...]

    @property
    def taps(self) -> int:
        """Taps of one channel."""
        return math.prod(axis.taps for axis in self.axes)

    @property
    def positions(self) -> int:
        """Outputs of one channel."""
        return math.prod(axis.outputs for axis in self.axes)


def transposed_extent(size: int, axis: int, geometry: ConvGeometry) -> int:
    """Return the length of a transposed convolution's result along one dimension.

    Args:
        size: length of the input.
        axis: which spatial dimension.
        geometry: of a transposed convolution.
    """
    assert geometry.output_padding is not None
    reach = geometry.dilation[axis] * (geometry.kernel[axis] - 1)
    cut = sum(geometry.padding[axis])
    return (size - 1) * geometry.stride[axis] - cut + reach + geometry.output_padding[axis] + 1


def transposed_phases(extents: Sequence[int], geometry: ConvGeometry) -> tuple[Phase, ...]:
    """Return all phases that use a tap; every other output is the bias alone.

    Every tap belongs to exactly one phase. Where the result is shorter than the stride, a phase may have no output.

    Args:
        extents: spatial shape of the input.
        geometry: of a transposed convolution.
    """
    axes = [_axis_phases(size, axis, geometry) for axis, size in enumerate(extents)]
    return tuple(Phase(chosen) for chosen in itertools.product(*axes))


def _axis_phases(size: int, axis: int, geometry: ConvGeometry) -> list[AxisPhase]:
    stride, dilation, taps = geometry.stride[axis], geometry.dilation[axis], geometry.kernel[axis]
    before = geometry.padding[axis][0]
    length = transposed_extent(size, axis, geometry)
    common = math.gcd(stride, dilation)
    tap_step, distance = stride // common, dilation // common
    found = []
    for tap in range(min(tap_step, taps)):
        remainder = tap * dilation % stride
        first = (remainder - before) % stride
        count = len(range(tap, taps, tap_step))
        last = (first + before - tap * dilation) // stride
        found.append(
            AxisPhase(
                first=first,
                outputs=len(range(first, length, stride)),
                tap=tap,
                tap_step=tap_step,
                taps=count,
                start=last - (count - 1) * distance,
                dilation=distance,
            )
        )
    return found
