"""transposed_phases: every output of a transposed convolution, every tap, and each exactly once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from asim_fx.ir import ConvGeometry
from asim_fx.phases import transposed_extent, transposed_phases


@given(
    size=st.integers(1, 7),
    kernel=st.integers(1, 7),
    stride=st.integers(1, 6),
    padding=st.integers(0, 4),
    dilation=st.integers(1, 6),
    added=st.integers(0, 5),
)
def test_phases_are_the_scatter_that_defines_the_operation(
    size: int, kernel: int, stride: int, padding: int, dilation: int, added: int
) -> None:
    geometry = ConvGeometry((kernel,), (stride,), ((padding, padding),), (dilation,), (added,))
    length = transposed_extent(size, 0, geometry)
    scattered = {
        (i * stride + t * dilation - padding, i, t)
        for i in range(size)
        for t in range(kernel)
        if 0 <= i * stride + t * dilation - padding < length
    }
    gathered = []
    for phase in transposed_phases([size], geometry):
        (axis,) = phase.axes
        for number in range(axis.outputs):
            for index in range(axis.taps):
                tap = axis.tap + axis.tap_step * (axis.taps - 1 - index)
                gathered.append((axis.first + number * stride, axis.start + number + index * axis.dilation, tap))
    inside = [(output, position, tap) for output, position, tap in gathered if 0 <= position < size]
    assert len(inside) == len(set(inside))
    assert set(inside) == scattered
    taps = [tap for phase in transposed_phases([size], geometry) for tap in _taps(phase.axes[0])]
    assert sorted(taps) == list(range(kernel))


def _taps(axis) -> range:
    return range(axis.tap, axis.tap + axis.tap_step * axis.taps, axis.tap_step)


def test_phases_of_several_dimensions_are_all_combinations() -> None:
    geometry = ConvGeometry((3, 1), (2, 2), ((1, 1), (0, 0)), (1, 1), (1, 1))
    phases = transposed_phases([4, 5], geometry)
    assert [phase.taps for phase in phases] == [2, 1]
    assert [phase.positions for phase in phases] == [20, 20]
