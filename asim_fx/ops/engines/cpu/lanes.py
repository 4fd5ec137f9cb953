"""Outputs side by side: how many, in what arrays, and instructions on all of them at once.

The instructions are written as vectors of LLVM's intermediate language. Loops over arrays, which numba would turn into
the same vectors, cost more in checks that the arrays do not overlap than the work on so few lanes does.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from asim_fx.ops.engines.cpu.compiled import compiled

LANES = 128
"""Outputs side by side."""
WIDTH = 16
"""Lanes of a vector: 512 bits. Processors with narrower ones are given several by LLVM."""

U32 = NDArray[np.uint32]
I64 = NDArray[np.int64]

_INT32, _INT64 = ir.IntType(32), ir.IntType(64)
VECTOR = ir.VectorType(_INT32, WIDTH)
LARGE_VECTOR = ir.VectorType(_INT64, WIDTH // 2)


@compiled
def lane_rows(rows: int) -> U32:
    """Return zeros (rows, LANES) that begin where a cache line does: vectors across two lines take twice as long."""
    raw = np.zeros(rows * LANES + 16, np.uint32)
    first = (-raw.ctypes.data // 4) % 16
    return raw[first : first + rows * LANES].reshape((rows, LANES))


def padded(count: int) -> int:
    """Return how many lanes some vectors take, with those that stay empty."""
    return -(-count // LANES) * LANES


def side_by_side(vectors: U32) -> U32:
    """Return vectors (groups, vectors, ...) as (groups, vectors / LANES, words, LANES), zeros where there is none."""
    groups, count = vectors.shape[:2]
    size = vectors.size // max(1, groups * count)
    chunks = padded(count) // LANES
    lanes = lane_rows(groups * chunks * size)
    _lay_out(vectors.reshape(groups, count, size), lanes.reshape(groups, chunks, size, LANES))
    return lanes.reshape(groups, chunks, size, LANES)


@compiled
def _lay_out(vectors: U32, lanes: U32) -> None:
    groups, count, size = vectors.shape
    for group in range(groups):
        for chunk in range(lanes.shape[1]):
            first = chunk * LANES
            # A few words of all lanes at a time, so that what is written stays in the cache until its lines are full.
            for block in range(0, size, 16):
                for lane in range(min(LANES, count - first)):
                    for word in range(block, min(size, block + 16)):
                        lanes[group, chunk, np.uint64(word), np.uint64(lane)] = vectors[group, first + lane, word]


@dataclass(frozen=True, slots=True)
class Row:
    """WIDTH lanes in memory.

    Attributes:
        builder: of instructions.
        start: pointer to the first element of an array.
        at: number of the first lane's element.
    """

    builder: Any
    start: Any
    at: Any

    def load(self) -> Any:
        """Return the lanes."""
        return self.builder.load(self._pointer(VECTOR), align=4)

    def store(self, vector: Any) -> None:
        """Replace the lanes."""
        self.builder.store(vector, self._pointer(VECTOR), align=4)

    def add(self, vector: Any) -> None:
        """Add to the lanes."""
        self.store(self.builder.add(self.load(), vector))

    def _pointer(self, kind: Any) -> Any:
        return self.builder.bitcast(self.builder.gep(self.start, [self.at]), kind.as_pointer())


def constant(value: int, vector: Any = VECTOR) -> Any:
    """Return a vector of one number."""
    return ir.Constant(vector, [value] * vector.count)


def same(builder: Any, value: Any, vector: Any = VECTOR) -> Any:
    """Return a vector of one value that is known at run time."""
    nothing = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(nothing, value, ir.Constant(_INT32, 0))
    return builder.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(_INT32, vector.count), [0] * vector.count))


def data_of(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    """Return a pointer to the elements of a contiguous array."""
    return context.make_array(kind)(context, builder, array).data


def on_lanes(build: Callable[..., None]) -> Any:
    """Return a function of numba that does with all lanes what ``build`` writes down for WIDTH of them.

    ``build(builder, *operands)`` is given a ``Row`` for each pair of array (rows, LANES) and row number that the
    function takes, and a vector for each uint32.
    """

    def typing(_: Any, *kinds: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            for lane in range(0, LANES, WIDTH):
                build(builder, *_operands(context, builder, kinds, arguments, lane))
            return context.get_dummy_value()

        return types.void(*kinds), generate

    return _with_names(typing, build)


def asking_lanes(build: Callable[..., Any]) -> Any:
    """Return a function as ``on_lanes`` does that also says of which lanes something holds.

    ``build`` returns a bit for each of WIDTH lanes; the function a tuple of uint64, 64 lanes to each.
    """

    def typing(_: Any, *kinds: Any) -> Any:
        result = types.UniTuple(types.uint64, LANES // 64)  # type: ignore[no-untyped-call]

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            numbers = [ir.Constant(_INT64, 0)] * result.count
            for lane in range(0, LANES, WIDTH):
                bits = build(builder, *_operands(context, builder, kinds, arguments, lane))
                number = builder.zext(builder.bitcast(bits, ir.IntType(WIDTH)), _INT64)
                moved = builder.shl(number, ir.Constant(_INT64, lane % 64))
                numbers[lane // 64] = builder.or_(numbers[lane // 64], moved)
            return context.make_tuple(builder, result, numbers)

        return result(*kinds), generate

    return _with_names(typing, build)


def _operands(context: Any, builder: Any, kinds: Any, arguments: Any, lane: int) -> list[Any]:
    operands = []
    for kind, value, following in zip(kinds, arguments, (*arguments[1:], None), strict=True):
        if isinstance(kind, types.Array):
            first = builder.mul(following, ir.Constant(_INT64, LANES))
            at = builder.add(first, ir.Constant(_INT64, lane))
            operands.append(Row(builder, data_of(context, builder, kind, value), at))
        elif kind == types.uint32:
            operands.append(same(builder, value))
    return operands


def _with_names(typing: Any, build: Callable[..., Any]) -> Any:
    """Make an intrinsic of a typing function of any number of arguments: numba wants to see how many there are."""
    names = ["context"]
    for parameter in list(inspect.signature(build).parameters.values())[1:]:
        names += [parameter.name, f"{parameter.name}_row"] if parameter.annotation == "Row" else [parameter.name]
    parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in names]
    typing.__signature__ = inspect.Signature(parameters)
    return intrinsic(typing)


def _set_bits(builder: Any) -> Any:
    kind = ir.FunctionType(VECTOR, [VECTOR])
    return cgutils.get_or_insert_function(builder.module, kind, f"llvm.ctpop.v{WIDTH}i32")  # type: ignore[no-untyped-call]


def ones_in(builder: Any, vector: Any) -> Any:
    """Return how many bits of each lane are set."""
    return builder.call(_set_bits(builder), [vector])
