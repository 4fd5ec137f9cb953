"""The MAC values of one cell: how many ones a word of bits shares with each lane."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from asim_fx.ops.engines.cpu.lanes import LANES, VECTOR, WIDTH, Row, constant, data_of, ones_in, same

_TOGETHER = 4
"""Vectors whose sums stay in registers while the words of a tile go by."""


def _register(builder: Any) -> Any:
    """Return a place for a vector, which LLVM makes a register."""
    return cgutils.alloca_once(builder, VECTOR)  # type: ignore[no-untyped-call]


def _counting(*, fresh: bool) -> Any:
    """Return a function that counts shared ones in ``words`` words and adds 2**shift times their number to ``macs``.

    Its operands are the sums (rows, LANES) and a row number; bits of the lanes, flat, LANES words one after the other,
    and where they start; bits of the other vector, flat, and where they start; the number of words; the shift.
    ``fresh``: to zero instead.
    """

    def typing(_: Any, macs: Any, row: Any, lanes: Any, at: Any, others: Any, o: Any, words: Any, shift: Any) -> Any:
        int64 = types.int64
        signature = types.void(macs, int64, lanes, int64, others, int64, int64, types.uint32)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            macs, row, lanes, lanes_at, others, others_at, words, shift = arguments
            kinds = signature.args
            macs, lanes, others = (data_of(context, builder, kinds[place], arguments[place]) for place in (0, 2, 4))
            first = builder.mul(row, ir.Constant(ir.IntType(64), LANES))
            by = same(builder, shift)
            for start in range(0, LANES, WIDTH * _TOGETHER):
                places = [ir.Constant(ir.IntType(64), start + WIDTH * number) for number in range(_TOGETHER)]
                sums = [_register(builder) for _ in places]
                for total in sums:
                    builder.store(constant(0), total)
                with cgutils.for_range(builder, words) as loop:
                    word = same(builder, builder.load(builder.gep(others, [builder.add(others_at, loop.index)])))
                    line = builder.add(lanes_at, builder.mul(loop.index, ir.Constant(ir.IntType(64), LANES)))
                    for place, total in zip(places, sums, strict=True):
                        shared = builder.and_(Row(builder, lanes, builder.add(line, place)).load(), word)
                        builder.store(builder.add(builder.load(total), ones_in(builder, shared)), total)
                for place, total in zip(places, sums, strict=True):
                    target = Row(builder, macs, builder.add(first, place))
                    counted = builder.shl(builder.load(total), by)
                    (target.store if fresh else target.add)(counted)
            return context.get_dummy_value()

        return signature, generate

    return intrinsic(typing)


count = _counting(fresh=True)
"""Write the MAC values of a cell, or the first part of them."""
count_more = _counting(fresh=False)
"""Add a part of the MAC values of a cell."""
