"""A process in which Triton interprets its kernels on the CPU; the choice is made when Triton is imported."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

import torch

from tests.ops.engines.cuda.cases import Case, cuda_sums, plain_sums


def differ(case: Case, plain_case: Case) -> tuple[int, int]:
    """Return (outputs, outputs that differ) between the CUDA engine and the plain one."""
    expected, found = plain_sums(plain_case), cuda_sums(case)
    return expected.numel(), int((expected.view(torch.int64) != found.view(torch.int64)).sum())


def shapes_timed(case: Case) -> tuple[int, bool]:
    """Run a case with the tuned kernel, interpreted; return (shapes that were timed, whether all bits are the same)."""
    from asim_fx.ops.engines.cuda import blocks, reading

    timed = []

    def timer(run: Callable[[], None], quantiles: Sequence[float]) -> list[float]:
        run()
        timed.append(float(len(timed)))
        return timed[-1:] * 3

    kernel = blocks.tuned(timer)
    before, reading.block_shape = reading.block_shape, lambda *_: (kernel, {})
    try:
        same = torch.equal(plain_sums(case), cuda_sums(case))
        return len(timed), same
    finally:
        reading.block_shape = before


def interpreter_failure() -> str:
    """Return what Triton says where its interpreter runs no kernel at all, or the empty string."""
    from tests.ops.engines.cuda.probe import failure

    return failure()


def _start() -> None:
    torch.set_num_threads(1)


@contextmanager
def interpreter() -> Iterator[ProcessPoolExecutor]:
    before = os.environ.get("TRITON_INTERPRET")
    os.environ["TRITON_INTERPRET"] = "1"
    try:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _start) as pool:
            pool.submit(_start).result()
            yield pool
    finally:
        if before is None:
            del os.environ["TRITON_INTERPRET"]
        else:
            os.environ["TRITON_INTERPRET"] = before
