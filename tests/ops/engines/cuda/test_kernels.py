from __future__ import annotations

from importlib.util import find_spec

import pytest

pytestmark = pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")

HEIGHT, WIDTH = 32, 64
CONSTANTS = {
    "ROWS": 256,
    "COLUMN_BITS": 2,
    "MULTIPLIER": 0,
    "VOTES": 1,
    "MIDDLE": -1,
    "LONG": False,
    "WIDE": False,
    "BRANCHES": True,
    "BLOCK_K": 256,
    "BLOCK_N": WIDTH,
    "BLOCK_M": HEIGHT,
}
POINTERS = {"streamed": "*i8", "stored": "*i8", "vector_flat": "*i64"}
TABLES = ("run_starts", "reads", "entries", "low_cuts", "sums")


@pytest.mark.parametrize(
    "architecture", [pytest.param(each, marks=() if each == 90 else pytest.mark.slow) for each in (80, 86, 89, 90, 100)]
)
@pytest.mark.parametrize("special", [{}, {"COLUMN_BITS": 0}, {"VOTES": 3}], ids=["noise", "lossy", "votes"])
def test_the_reading_kernel_compiles_and_moves_nothing_between_layouts(
    architecture: int, special: dict[str, int]
) -> None:
    """Without a GPU. In the loop over reads a move would be a round trip of every value through shared memory."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from asim_fx.ops.engines.cuda.kernels.reading import read_tiles

    signature = {}
    for name in read_tiles.arg_names:
        long = name in ("output_flat", "stride", "batch", "first_sample", "k0", "k1")
        kind = "constexpr" if name in CONSTANTS else "*i32" if name in TABLES else "i64" if long else "i32"
        signature[name] = POINTERS.get(name, kind)
    aligned = (*POINTERS, *TABLES, "x_stride", "w_stride")
    attributes = {(read_tiles.arg_names.index(name),): [["tt.divisibility", 16]] for name in aligned}
    source = ASTSource(read_tiles, signature, CONSTANTS | special, attributes)
    kernel = triton.compile(
        source, target=GPUTarget("cuda", architecture, 32), options={"num_warps": 8, "enable_fp_fusion": False}
    )
    assert kernel.asm["cubin"]
    lines = kernel.asm["ttgir"].splitlines()
    loops = [number for number, line in enumerate(lines) if "scf.for" in line or "scf.yield" in line]
    inside = "\n".join(lines[loops[0] : loops[-1]])
    assert " tt.dot " in inside or "warp_group_dot" in inside
    assert "convert_layout" not in inside
