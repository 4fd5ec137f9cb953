"""An operation as passes of one kernel, and what the kernel does not cover. Needs no Triton."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from asim_fx.ops.codes import top_code
from asim_fx.ops.config import OpConfig, ReadEffects
from asim_fx.ops.engines.reads import draws, first_read, not_counted, reads_of_tile, sum_key, unit_of
from asim_fx.ops.engines.tables import ReadTable, read_table
from asim_fx.ops.schedule import ReadPart, Schedule, part_scale, schedule

WIDEST_PLANE = 7
"""Bits of a plane: its values are signed bytes to the tensor cores."""
MOST_COMPARED = 9
"""Reads of a cell that are all in registers where they are compared with one another (mode and median)."""
_INT32 = 2**31


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the bit plan that is read."""

    stored: int
    streamed: int
    place: int
    first_read: int


@dataclass(frozen=True, slots=True)
class Pass:
    """Cells that are read the same way: one launch of the kernel.

    Attributes:
        cells: in the order of their reads.
        reads: of each cell.
        noisy: whether reads draw.
        total: number of the sum that the codes add up to.
        effects: what a read does.
        full_scale: MAC value of the top code.
        largest_sum: bound on the magnitude of the sum over one row tile.
    """

    cells: tuple[Cell, ...]
    reads: int
    noisy: bool
    total: int
    effects: ReadEffects
    full_scale: int
    largest_sum: int

    @property
    def table(self) -> ReadTable:
        """Codes of every MAC value."""
        table = read_table(self.effects, self.full_scale, noisy=self.noisy)
        assert table is not None
        return table

    def fits_int32(self, tiles: int) -> bool:
        """Whether no sum over so many row tiles, nor any part of it, leaves 32 bits."""
        return self.largest_sum * tiles < _INT32


@dataclass(frozen=True, slots=True)
class Plan:
    """What the kernel reads of every row tile.

    Attributes:
        passes: in any order, for integers are added up.
        scales: real value of one unit of each sum, in the order in which they are added.
        reads_of_tile: reads of one output in one row tile, whether the schedule takes them or not.
    """

    passes: tuple[Pass, ...]
    scales: tuple[float, ...]
    reads_of_tile: int


def not_covered(config: OpConfig) -> str:
    """Return why the CUDA engine leaves this operation to the plain one, or the empty string."""
    work = schedule(config)
    if not work.parts:
        return ""
    if reason := not_counted(config, work):
        return reason
    if max(work.streamed[part.streamed].width for part in work.parts) > WIDEST_PLANE:
        return f"input_encoding of more than {WIDEST_PLANE} bits"
    if max(work.stored[i].width for part in work.parts for i in part.stored) > WIDEST_PLANE:
        return f"cell_bits of more than {WIDEST_PLANE}"
    compared = max((part.reads for part in work.parts if draws(work, part)), default=1)
    if config.plan.vote != "mean" and compared > MOST_COMPARED:
        return f"vote: {config.plan.vote} of more than {MOST_COMPARED} samples"
    return ""


@lru_cache(maxsize=1024)
def plan_of(config: OpConfig) -> Plan:
    """Return the plan of a covered operation that has reads."""
    work = schedule(config)
    alike: dict[tuple[int, int, bool], list[ReadPart]] = {}
    for part in work.parts:
        noisy = draws(work, part)
        alike.setdefault((part_scale(config, work, part), part.reads if noisy else 1, noisy), []).append(part)
    keys = sorted({sum_key(config, work, part) for part in work.parts})
    passes = []
    for (full, reads, noisy), parts in alike.items():
        cells = sorted(_cells(config, work, parts), key=lambda cell: cell.first_read)
        key = sum_key(config, work, parts[0])
        largest = sum(abs(cell.place) for cell in cells) * top_code(config.read) * key[1]
        passes.append(Pass(tuple(cells), reads, noisy, keys.index(key), config.read, full, largest))
    return Plan(tuple(passes), tuple(unit_of(config, key) for key in keys), reads_of_tile(config))


def _cells(config: OpConfig, work: Schedule, parts: list[ReadPart]) -> list[Cell]:
    return [
        Cell(
            stored=i,
            streamed=part.streamed,
            place=work.stored[i].place * work.streamed[part.streamed].place,
            first_read=first_read(config, i, part.streamed),
        )
        for part in parts
        for i in part.stored
    ]
