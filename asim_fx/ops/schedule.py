"""Which cells of a bit plan are exact and collapse into integer products, and which are read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from asim_fx.errors import UsageError
from asim_fx.ir import DIGITAL
from asim_fx.nonidealities.reads import has_spread, is_identity
from asim_fx.ops.cells import stored_planes
from asim_fx.ops.codes import check_converter, top_code
from asim_fx.ops.config import OpConfig
from asim_fx.ops.planes import Plane, planes_of, whole_plane


@dataclass(frozen=True, slots=True)
class ExactPart:
    """Cells that one integer matrix product computes: every pair of these streamed and stored planes."""

    streamed: tuple[int, ...]
    stored: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ReadPart:
    """Cells of one streamed plane that are read the same way.

    Attributes:
        streamed: index of the streamed plane.
        stored: indices of the stored planes, all of one width.
        reads: how often each cell is read.
        analog: whether noise and cell variation apply; not for a digital cell that passes the converter.
    """

    streamed: int
    stored: tuple[int, ...]
    reads: int
    analog: bool


@dataclass(frozen=True, slots=True)
class Schedule:
    """An operation as work to do.

    Attributes:
        streamed: planes of the streamed operand.
        stored: planes of the stored operand; those of the bit plan first.
        exact: integer products over the whole reduction.
        parts: reads of every row tile.
        noisy: whether analog reads draw a random number.
    """

    streamed: tuple[Plane, ...]
    stored: tuple[Plane, ...]
    exact: tuple[ExactPart, ...]
    parts: tuple[ReadPart, ...]
    noisy: bool


@lru_cache(maxsize=4096)
def schedule(config: OpConfig) -> Schedule:
    """Return the schedule of an operation.

    Raises:
        UsageError: the fields of the configuration contradict each other.
    """
    check_converter(config.read, config.site)
    _check_plan(config)
    streamed, stored = _streamed_planes(config), stored_planes(config)
    read = range(config.plan.weight_planes)
    # What is in no bit plan is digital.
    always = tuple(range(config.plan.weight_planes, len(stored)))
    exact_of = {}
    parts: list[ReadPart] = []
    for j, plane in enumerate(streamed):
        kinds: dict[tuple[int, int, bool] | None, list[int]] = {}
        for i in read:
            full = full_scale(config, plane, stored[i])
            kind = _kind(config, i, j, _is_lossless(config, full))
            kinds.setdefault(None if kind is None else (full, *kind), []).append(i)
        exact = (*kinds.pop(None, ()), *always)
        if exact:
            exact_of[j] = exact
        parts += [ReadPart(j, tuple(rows), kind[1], kind[2]) for kind, rows in kinds.items() if kind]
    collapsed: dict[tuple[int, ...], list[int]] = {}
    for j, exact in exact_of.items():
        collapsed.setdefault(exact, []).append(j)
    products = tuple(ExactPart(tuple(columns), exact) for exact, columns in collapsed.items())
    return Schedule(streamed, stored, products, tuple(parts), has_spread(config.read))


def full_scale(config: OpConfig, streamed: Plane, stored: Plane) -> int:
    """Return the MAC value at which the converter saturates, for reads of a streamed and a stored plane."""
    return streamed.largest * stored.largest * config.read.rows


def part_scale(config: OpConfig, work: Schedule, part: ReadPart) -> int:
    """Return the full scale of all reads of a part."""
    return full_scale(config, work.streamed[part.streamed], work.stored[part.stored[0]])


def _streamed_planes(config: OpConfig) -> tuple[Plane, ...]:
    return (whole_plane(config.input),) if config.read.parallel else planes_of(config.input, config.plan.input_widths)


def lowest_part(config: OpConfig, length: int) -> float:
    """Return what codes of 0 alone add up to, where a window of the converter starts above 0.

    Args:
        config: of the operation.
        length: of the reduction.
    """
    if config.read.window is None or config.read.window[0] == 0:
        return 0.0
    work = schedule(config)
    tiles = -(-length // config.step)
    terms = (
        work.streamed[part.streamed].place
        * sum(work.stored[i].place for i in part.stored)
        * config.read.lowest_mac(part_scale(config, work, part))
        for part in work.parts
    )
    return tiles * math.fsum(terms)


def _kind(config: OpConfig, i: int, j: int, lossless: bool) -> tuple[int, bool] | None:
    """Return (reads, analog) of a cell, or None where its result is an exact integer."""
    reads = config.plan.reads[i][j]
    if reads == DIGITAL:
        passes_converter = config.read.digital_cycles == "adc" and not lossless
        return (1, False) if passes_converter else None
    if has_spread(config.read):
        return reads, True
    if is_identity(config.read) and lossless:
        return None
    return 1, True


def _is_lossless(config: OpConfig, full: int) -> bool:
    """Whether every MAC value has a code of its own, at the same spacing."""
    read = config.read
    if read.window is not None and (read.window[0] > 0 or read.window[1] < min(config.step, read.rows)):
        return False  # Some MAC values lie outside.
    return read.adc_bits is None or top_code(read) % read.span(full) == 0


def _check_plan(config: OpConfig) -> None:
    plan, read, stored = config.plan, config.read, config.stored
    if read.parallel:
        if plan.weight_planes != 1 or plan.input_planes != 1:
            message = f"site {config.site}: weights: parallel is one read for each tile, but the plan has "
            raise UsageError(message + f"{plan.weight_planes} x {plan.input_planes} cells")
        if stored.encoding == "offset" or (stored.differential and not stored.subtracts):
            message = f"site {config.site}: weights: parallel reads a signed product, which {stored.encoding} weights "
            raise UsageError(message + "do not give before a digital step")
    else:
        whole = stored.bit_plan(config.weight.bits, plan.input_widths, signed=config.weight.signed)
        if plan.weight_planes != whole.weight_planes or sum(plan.input_widths) != config.input.bits:
            message = f"site {config.site}: the plan is for {plan.weight_planes} x {sum(plan.input_widths)} bits, "
            raise UsageError(message + f"the operands have {whole.weight_planes} x {config.input.bits}")
    if read.subtracted != stored.subtracts:
        message = f"site {config.site}: reads of differences (subtracted) need columns to subtract, and the reverse"
        raise UsageError(message)
    if plan.vote == "mode" and plan.voted_cells and read.adc_bits is None and has_spread(read):
        message = f"site {config.site}: vote: mode counts codes, and adc.bits: ideal has none"
        raise UsageError(message, hint="use vote: median or mean, or a converter with bits")
