"""Cut every analog site's matrix into pieces that fit an array."""

from __future__ import annotations

from dataclasses import replace

from torch.fx import GraphModule

from asim_fx.encoding import CellLayout, columns_per_output
from asim_fx.ir import OpSite, SitePlan, Target, TileGrid, annotate, iter_plans, row_step
from asim_fx.phases import Phase, transposed_phases
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
        tiles = tile(
            plan.site,
            rows=macro.rows,
            columns=macro.columns,
            output_columns=columns_per_output(plan),
            together=2 if macro.layout.subtracts else 1,
        )
        notes = plan.notes + _notes(plan.site, tiles) + _cell_notes(plan)
        annotate(node, plan=replace(plan, tiles=tiles, notes=notes))
    return False


def tile(site: OpSite, *, rows: int, columns: int, output_columns: int, together: int = 1) -> TileGrid:
    """Return how one group of a site lies on arrays.

    A convolution puts whole channels into a row tile, so that a patch never straddles two; where one channel's taps
    exceed the rows, the flattened reduction is cut in runs of ``rows`` as for a linear. Each stride phase of a
    transposed convolution holds its own taps, in row tiles of its own; ``step`` is that of the phase with most taps.

    Args:
        site: what is mapped.
        rows: row parallelism of the array.
        columns: physical columns of the array.
        output_columns: physical columns of one output; an output may lie on two arrays.
        together: columns that must lie on one array: 2 where their difference is converted.
    """
    phases = _phases(site)
    taps = [phase.taps for phase in phases] if phases else [_taps(site)]
    channels = site.k // _taps(site)
    # One stack of row tiles for an ordinary operation, one for each phase of a transposed convolution.
    stacks = [-(-channels * count // row_step(count, rows)) for count in taps]
    row_tiles = sum(stacks)
    column_tiles = -(-site.n * output_columns // (columns - columns % together))
    used = site.k * site.n * output_columns
    return TileGrid(
        rows=rows,
        columns=columns,
        step=row_step(max(taps), rows),
        row_tiles=row_tiles,
        column_tiles=column_tiles,
        utilisation=used / (row_tiles * rows * column_tiles * columns),
        patch_split=max(taps) > rows,
        row_reads=sum(phase.positions * stack for phase, stack in zip(phases, stacks, strict=True)) if phases else None,
    )


def _cell_notes(plan: SitePlan) -> tuple[str, ...]:
    layout = plan.settings.macro.layout
    if layout == CellLayout():
        return ()
    return (f"weights stored as {layout.in_words}: {columns_per_output(plan)} columns for each output",)


def _phases(site: OpSite) -> tuple[Phase, ...]:
    if site.geometry is None or not site.geometry.transposed:
        return ()
    return transposed_phases([size or 1 for size in site.input_shape[2:]], site.geometry)


def _taps(site: OpSite) -> int:
    return site.geometry.taps if site.geometry is not None else 1


def _notes(site: OpSite, tiles: TileGrid) -> tuple[str, ...]:
    notes = []
    phases = _phases(site)
    if len(phases) > 1:
        notes.append(f"transposed: its {len(phases)} stride phases are tiled and read each on its own")
    if tiles.patch_split:
        taps = max(phase.taps for phase in phases) if phases else _taps(site)
        notes.append(f"patch split: {taps} taps do not fit {tiles.rows} rows, so patches are cut anywhere")
    return tuple(notes)
