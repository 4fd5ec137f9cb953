"""Which cells of a bit plan are exact and collapse into integer products, and which are read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from asim_fx.errors import UsageError
from asim_fx.ir import DIGITAL
from asim_fx.nonidealities.reads import has_spread, is_identity
from asim_fx.ops.codes import check_converter, top_code
from asim_fx.ops.config import OpConfig
from asim_fx.ops.planes import Plane, operand_planes


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
        stored: indices of the stored planes.
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
        stored: planes of the stored operand.
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
    streamed, stored = operand_planes(config)
    _check_plan(config)
    exact_of = {}
    parts: list[ReadPart] = []
    for j, plane in enumerate(streamed):
        lossless = _is_lossless(config, full_scale(config, plane))
        kinds: dict[tuple[int, bool] | None, list[int]] = {}
        for i in range(len(stored)):
            kinds.setdefault(_kind(config, i, j, lossless), []).append(i)
        exact = tuple(kinds.pop(None, ()))
        if exact:
            exact_of[j] = exact
        parts += [ReadPart(j, tuple(rows), kind[0], kind[1]) for kind, rows in kinds.items() if kind]
    collapsed: dict[tuple[int, ...], list[int]] = {}
    for j, exact in exact_of.items():
        collapsed.setdefault(exact, []).append(j)
    products = tuple(ExactPart(tuple(columns), exact) for exact, columns in collapsed.items())
    return Schedule(streamed, stored, products, tuple(parts), has_spread(config.read))


def full_scale(config: OpConfig, plane: Plane) -> int:
    """Return the MAC value at which the converter saturates, for reads of one streamed plane."""
    unit = plane.largest * config.weight.levels if config.read.parallel else plane.largest
    return unit * config.read.rows


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
        * config.read.lowest_mac(full_scale(config, work.streamed[part.streamed]))
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
    plan, read = config.plan, config.read
    if read.parallel:
        if plan.weight_planes != 1 or plan.input_planes != 1:
            message = f"site {config.site}: weights: parallel is one read for each tile, but the plan has "
            raise UsageError(message + f"{plan.weight_planes} x {plan.input_planes} cells")
    elif plan.weight_planes != config.weight.bits or sum(plan.input_widths) != config.input.bits:
        message = f"site {config.site}: the plan is for {plan.weight_planes} x {sum(plan.input_widths)} bits, "
        raise UsageError(message + f"the operands have {config.weight.bits} x {config.input.bits}")
    if plan.vote == "mode" and plan.voted_cells and read.adc_bits is None and has_spread(read):
        message = f"site {config.site}: vote: mode counts codes, and adc.bits: ideal has none"
        raise UsageError(message, hint="use vote: median or mean, or a converter with bits")
