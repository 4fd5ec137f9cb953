"""Where the tiles of a matrix lie: which macro, and which corner of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from asim_fx.encoding import columns_per_output
from asim_fx.ir import SitePlan

Packing = Literal["none", "groups"]


@dataclass(frozen=True, slots=True)
class PlacedTile:
    """One tile of one copy.

    Attributes:
        group: of the site.
        row_tile: along the reduction.
        column_tile: side by side.
        macro: number of its macro, counted from the first one of this copy.
        first_row: of that macro.
        first_column: of that macro.
    """

    group: int
    row_tile: int
    column_tile: int
    macro: int
    first_row: int = 0
    first_column: int = 0


def groups_per_macro(plan: SitePlan, packing: Packing) -> int:
    """Return how many groups of an analog site share one macro.

    Those that do lie on its diagonal, each with rows and columns of its own: cells elsewhere hold zeros, so that every
    column adds up what it would alone, in the same read. Only a group that is one tile is packed.
    """
    tiles, site = plan.tiles, plan.site
    if packing == "none" or tiles is None or tiles.row_tiles * tiles.column_tiles > 1:
        return 1
    fit = min(tiles.rows // site.k, tiles.columns // (site.n * columns_per_output(plan)))
    return max(1, min(fit, site.groups))


def macros_of(plan: SitePlan, packing: Packing) -> int:
    """Return how many macros hold one copy of an analog site."""
    if plan.tiles is None:
        return 0
    return plan.tiles.row_tiles * plan.tiles.column_tiles * -(-plan.site.groups // groups_per_macro(plan, packing))


def place_tiles(plan: SitePlan, packing: Packing) -> Iterator[PlacedTile]:
    """Yield every tile of one copy of an analog site, with its macro."""
    if plan.tiles is None:
        return
    together = groups_per_macro(plan, packing)
    row_tiles, column_tiles = plan.tiles.row_tiles, plan.tiles.column_tiles
    columns = plan.site.n * columns_per_output(plan)
    for group in range(plan.site.groups):
        block, place = divmod(group, together)
        for row_tile in range(row_tiles):
            for column_tile in range(column_tiles):
                macro = (block * row_tiles + row_tile) * column_tiles + column_tile
                yield PlacedTile(group, row_tile, column_tile, macro, place * plan.site.k, place * columns)
