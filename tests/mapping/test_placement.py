from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asim_fx.encoding import columns_per_output
from asim_fx.mapping.placement import groups_per_macro, macros_of, place_tiles
from tests.cost.plans import plan, site


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 700), st.integers(1, 90), st.integers(1, 40), st.sampled_from(["none", "groups"]), st.integers(2, 8)
)
def test_every_tile_has_a_place_of_its_own(k, n, groups, packing, weight_bits):
    made = plan(site(k, n, groups=groups), weight_bits=weight_bits)
    tiles = list(place_tiles(made, packing))
    keys = {(tile.group, tile.row_tile, tile.column_tile) for tile in tiles}
    assert len(tiles) == len(keys) == groups * made.tiles.row_tiles * made.tiles.column_tiles
    assert {tile.macro for tile in tiles} == set(range(macros_of(made, packing)))
    columns = n * columns_per_output(made)
    by_macro: dict[int, list] = {}
    for tile in tiles:
        by_macro.setdefault(tile.macro, []).append(tile)
    for together in by_macro.values():
        if len(together) > 1:  # neither a row nor a column is shared, so no column adds up what is not its own
            rows = sorted((tile.first_row, tile.first_row + k) for tile in together)
            sides = sorted((tile.first_column, tile.first_column + columns) for tile in together)
            assert all(a[1] <= b[0] for a, b in itertools.pairwise(rows))
            assert all(a[1] <= b[0] for a, b in itertools.pairwise(sides))
            assert rows[-1][1] <= 256
            assert sides[-1][1] <= 256


@pytest.mark.parametrize(
    ("k", "n", "groups", "together"), [(9, 1, 64, 28), (9, 1, 5, 5), (300, 1, 8, 1), (64, 32, 3, 1), (9, 16, 64, 2)]
)
def test_as_many_groups_as_rows_and_columns_hold(k, n, groups, together):
    made = plan(site(k, n, groups=groups))
    assert groups_per_macro(made, "groups") == together
    assert macros_of(made, "groups") == made.tiles.row_tiles * made.tiles.column_tiles * -(-groups // together)
    assert groups_per_macro(made, "none") == 1
