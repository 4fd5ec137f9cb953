"""What the compiled engines share: which reads they cover, and which codes they add up together."""

from __future__ import annotations

from asim_fx.nonidealities.reads import has_real_cells, needs_columns
from asim_fx.ops.cells import word_bits
from asim_fx.ops.codes import top_code
from asim_fx.ops.config import OpConfig
from asim_fx.ops.engines.tables import ReadTable, read_table
from asim_fx.ops.schedule import ReadPart, Schedule, part_scale

MOST_BITS = 16
"""Of a code."""


def not_counted(config: OpConfig, work: Schedule) -> str:
    """Return why reads are more than a table of integer MAC values, or the empty string."""
    read = config.read
    if has_real_cells(read):
        return "cells vary"
    if needs_columns(read):
        return "converters differ"
    if read.parallel:
        return "weights: parallel"
    if read.subtracted:
        return "differential.subtract: analog"
    if read.adc_bits is None:
        return "the converter is ideal"
    if max(config.input.bits, config.weight.bits) > MOST_BITS:
        return f"codes of more than {MOST_BITS} bits"
    if word_bits(config) > MOST_BITS:
        return f"both parts of differential weights are more than {MOST_BITS} bits"
    if config.step > read.rows:
        return "a row tile is longer than the array"
    for part in work.parts:
        if table_of(config, work, part) is None:
            noisy = draws(work, part)
            return "noise is too wide or codes are too many for a table" if noisy else "MAC values are too many"
    return ""


def draws(work: Schedule, part: ReadPart) -> bool:
    """Return whether the reads of a part draw random numbers."""
    return work.noisy and part.analog


def table_of(config: OpConfig, work: Schedule, part: ReadPart) -> ReadTable | None:
    """Return the table of the reads of a part, or None where there is none."""
    return read_table(config.read, part_scale(config, work, part), noisy=draws(work, part))


def sum_key(config: OpConfig, work: Schedule, part: ReadPart) -> tuple[int, int]:
    """Return what codes must share to be added up: full scale and votes averaged."""
    averaged = part.reads if draws(work, part) and config.plan.vote == "mean" else 1
    return part_scale(config, work, part), averaged


def unit_of(config: OpConfig, key: tuple[int, int]) -> float:
    """Return the real value of one unit of a sum."""
    full, votes = key
    return config.read.span(full) / (top_code(config.read) * votes)


def first_read(config: OpConfig, stored: int, streamed: int) -> int:
    """Return the number of a cell's first read among those of one output in one row tile."""
    return (stored * config.plan.input_planes + streamed) * config.plan.max_reads


def reads_of_tile(config: OpConfig) -> int:
    """Return the reads of one output in one row tile, whether the schedule takes them or not."""
    return config.plan.weight_planes * config.plan.input_planes * config.plan.max_reads
