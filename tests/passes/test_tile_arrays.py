"""tile_arrays: how a K x N matrix lies on arrays."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asim_fx.ir import ConvGeometry, OpKind, OpSite
from asim_fx.passes.tile_arrays import tile


def conv(channels: int, outputs: int, kernel: tuple[int, ...]) -> OpSite:
    ones = (1,) * len(kernel)
    geometry = ConvGeometry(kernel, ones, ((0, 0),) * len(kernel), ones)
    return _site(OpKind.CONV, channels * math.prod(kernel), outputs, geometry)


def linear(k: int, n: int) -> OpSite:
    return _site(OpKind.LINEAR, k, n, None)


def _site(kind: OpKind, k: int, n: int, geometry: ConvGeometry | None) -> OpSite:
    return OpSite(
        name="site", kind=kind, op="", k=k, n=n, groups=1, vectors=1, macs=k * n,
        input_shape=(), weight_shape=(), output_shape=(), geometry=geometry,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("site", "rows", "step", "row_tiles", "patch_split"),
    [
        (conv(64, 64, (3, 3)), 255, 252, 3, False),  # 28 whole channels of 9 taps
        (conv(64, 64, (3, 3)), 256, 252, 3, False),
        (conv(256, 8, (3, 3)), 256, 252, 10, False),  # the published simulator runs 9 and drops 4 channels
        (conv(3, 192, (16, 16)), 255, 255, 4, True),  # 256 taps: patches are cut
        (conv(3, 768, (32, 32)), 255, 255, 13, True),
        (conv(1, 1, (3, 3)), 255, 252, 1, False),  # a depthwise group
        (linear(768, 768), 255, 255, 4, False),
        (linear(255, 1), 255, 255, 1, False),
        (linear(1, 1), 1, 1, 1, False),
    ],
)
def test_rows_hold_whole_channels(site: OpSite, rows: int, step: int, row_tiles: int, patch_split: bool) -> None:
    tiles = tile(site, rows=rows, columns=256, output_columns=8)
    assert (tiles.step, tiles.row_tiles, tiles.patch_split) == (step, row_tiles, patch_split)


def test_an_output_takes_as_many_columns_as_its_weight_has_bits() -> None:
    assert tile(linear(255, 33), rows=255, columns=256, output_columns=8).column_tiles == 2
    assert tile(linear(255, 32), rows=255, columns=256, output_columns=8).column_tiles == 1
    assert tile(linear(255, 33), rows=255, columns=256, output_columns=4).column_tiles == 1


@given(
    channels=st.integers(1, 600),
    outputs=st.integers(1, 300),
    kernel=st.sampled_from([(1,), (3, 3), (7, 7), (1, 3), (16, 16), (3, 3, 3)]),
    rows=st.integers(1, 1200),
    columns=st.integers(1, 512),
    bits=st.integers(2, 8),
)
def test_every_weight_has_its_cell(
    channels: int, outputs: int, kernel: tuple[int, ...], rows: int, columns: int, bits: int
) -> None:
    site = conv(channels, outputs, kernel)
    tiles = tile(site, rows=rows, columns=columns, output_columns=bits)
    assert 1 <= tiles.step <= rows
    assert (tiles.row_tiles - 1) * tiles.step < site.k <= tiles.row_tiles * tiles.step
    assert tiles.column_tiles * columns >= outputs * bits
    assert 0 < tiles.utilisation <= 1
    if not tiles.patch_split:
        assert tiles.step % math.prod(kernel) == 0


def test_each_phase_of_a_transposed_convolution_has_its_own_tiles() -> None:
    """3x3 with stride 2 on 8x8: phases of 4, 2, 2 and 1 taps with 8x8 outputs each; 12 rows hold 3, 6, 6 and 12 channels."""
    geometry = ConvGeometry((3, 3), (2, 2), ((1, 1), (1, 1)), (1, 1), output_padding=(1, 1))
    site = replace(_site(OpKind.CONV, 20 * 9, 5, geometry), input_shape=(None, 20, 8, 8))
    tiles = tile(site, rows=12, columns=256, output_columns=8)
    assert tiles.row_tiles == 7 + 4 + 4 + 2
    assert tiles.row_reads == 64 * tiles.row_tiles
    assert not tiles.patch_split
    # Every weight has one cell: 17 tiles of 12 rows hold 180 of them.
    assert tiles.utilisation == pytest.approx(180 * 40 / (17 * 12 * 256))


def test_phases_may_have_different_numbers_of_outputs() -> None:
    """2 taps with stride 3 on 4 positions, without padding: 11 outputs, of which 4 use the one tap and 4 the other."""
    geometry = ConvGeometry((2,), (3,), ((0, 0),), (1,), output_padding=(0,))
    site = replace(_site(OpKind.CONV, 8 * 2, 5, geometry), input_shape=(None, 8, 4))
    tiles = tile(site, rows=4, columns=256, output_columns=8)
    assert (tiles.row_tiles, tiles.row_reads) == (4, 2 * 4 + 2 * 4)
