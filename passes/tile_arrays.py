"""Cut every analog site's matrix into pieces that fit an array."""

from __future__ import annotations

from dataclasses import replace

from torch.fx import GraphModule

from asim_fx.ir import OpSite, Target, TileGrid, annotate, iter_plans
from asim_fx.pipeline import Fact, PassContext, graph_pass


@graph_pass(requires=[Fact.LEGAL], provides=[Fact.TILES])
def tile_arrays(graph_module: GraphModule, context: PassContext) -> bool:
    """Give every analog site its TileGrid.

    Example:
        a 3x3 convolution of 64 channels has K = 576; 255 rows hold 28 whole channels (252 rows), so 3 row tiles.
    """
    for node, plan in iter_plans(graph_module.graph):
        if plan.target is not Target.ANALOG:
            continue
        macro = plan.settings.macro
        tiles = tile(plan.site, rows=macro.rows, columns=macro.columns, weight_bits=plan.settings.weight_bits)
        notes = plan.notes
        if tiles.patch_split:
            notes += (
                f"patch split: {_taps(plan.site)} taps do not fit {macro.rows} rows, so patches are cut anywhere",
            )
        annotate(node, plan=replace(plan, tiles=tiles, notes=notes))
    return False


def tile(site: OpSite, *, rows: int, columns: int, weight_bits: int) -> TileGrid:
    """Return how one group of a site lies on arrays.

    A convolution puts whole channels into a row tile, so that a patch never straddles two; where one channel's taps
    exceed the rows, the flattened reduction is cut in runs of ``rows`` as for a linear.

    Args:
        site: what is mapped.
        rows: row parallelism of the array.
        columns: physical columns of the array.
        weight_bits: physical columns of one output.
    """
    taps = _taps(site)
    patch_split = taps > rows
    step = rows if patch_split else rows // taps * taps
    row_tiles = -(-site.k // step)
    column_tiles = -(-site.n * weight_bits // columns)
    used = site.k * site.n * weight_bits
    return TileGrid(
        rows=rows,
        columns=columns,
        step=step,
        row_tiles=row_tiles,
        column_tiles=column_tiles,
        utilisation=used / (row_tiles * rows * column_tiles * columns),
        patch_split=patch_split,
    )


def _taps(site: OpSite) -> int:
    return site.geometry.taps if site.geometry is not None else 1
