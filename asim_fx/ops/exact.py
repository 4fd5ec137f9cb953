"""Matrix products and convolutions of integers held in floating point, exact whatever the sizes."""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch
from torch import Tensor

_FLOAT32_EXACT = 2**24
_FLOAT64_EXACT = 2**53
_SHORTEST_FLOAT32_RUN = 64
"""Below this many terms to a run, one float64 product is faster than many float32 ones."""


def integer_matmul(left: Tensor, right: Tensor, largest_term: int, *, largest_sum: int | None = None) -> Tensor:
    """Return ``left @ right`` without any rounding.

    Args:
        left: float32 integers (g, m, k).
        right: float32 integers (g, k, n).
        largest_term: bound on the magnitude of one product of elements.
        largest_sum: bound on the sum of the magnitudes of all terms, where one is known.

    Returns:
        float32 where every partial sum fits 24 bits, otherwise float64 (rounded once if the sum is beyond 2**53).
    """
    length = left.shape[-1]
    whole = length * largest_term if largest_sum is None else largest_sum
    if _float32_is_exact() and whole < _FLOAT32_EXACT:
        return torch.matmul(left, right)
    run = (_FLOAT32_EXACT - 1) // largest_term
    if _float32_is_exact() and run >= _SHORTEST_FLOAT32_RUN:
        return _in_runs(left, right, run, torch.float32, torch.float64)
    run = (_FLOAT64_EXACT - 1) // largest_term
    if run >= length:
        # In runs all the same, so that no whole weight is ever copied to float64.
        return _in_runs(left, right, 1024, torch.float64, torch.float64)
    return _in_runs(left, right, min(run, 1024), torch.float64, torch.int64).to(torch.float64)


def float32_holds(largest_sum: int) -> bool:
    """Return whether sums up to a magnitude are exact in float32, in whatever order they are made."""
    return largest_sum < _FLOAT32_EXACT


def has_byte_products(device: torch.device) -> bool:
    """Return whether ``byte_matmul`` is exact and fast here.

    Only with instructions that add products of bytes in 32 bits (VNNI): without them a library may add pairs in 16.
    """
    supported = getattr(torch.cpu, "_is_vnni_supported", None)
    return device.type == "cpu" and hasattr(torch, "_int_mm") and supported is not None and bool(supported())


def byte_matmul(left: Tensor, right: Tensor) -> Tensor:
    """Return ``left @ right`` of int8 (g, m, k) and (g, k, n) as int32, exact for k below 2**17."""
    pairs = zip(left, right, strict=True)
    return torch.stack([torch._int_mm(_with_own_stride(one), _with_own_stride(other)) for one, other in pairs])


def _with_own_stride(matrix: Tensor) -> Tensor:
    """Return a matrix whose row stride is no less than its row, even where it has a single row.

    Torch lets the stride of a dimension of size one be anything, as a transpose leaves it, and hands it to the library
    as it is; torch 2.14 on CPUs then returns sums of other memory.
    """
    return matrix.reshape(-1).view(1, -1) if matrix.shape[0] == 1 else matrix


def can_convolve(device: torch.device, largest_sum: int) -> bool:
    """Return whether ``convolve`` rounds nothing, where no sum of magnitudes is above ``largest_sum``."""
    if device.type != "cpu" or not torch._C._has_mkldnn or largest_sum >= _FLOAT32_EXACT:
        return False
    precision = torch.backends.mkldnn.conv.fp32_precision  # type: ignore[attr-defined]
    return precision in ("none", "ieee") and "ONEDNN_DEFAULT_FPMATH_MODE" not in os.environ and _float32_is_exact()


def convolve(source: Tensor, weight: Tensor, stride: Sequence[int], dilation: Sequence[int], groups: int) -> Tensor:
    """Return a convolution without padding by the one algorithm that only multiplies and adds.

    ``F.conv2d`` may choose another (Winograd, Fourier), whose terms are no integers.
    """
    zeros = [0] * len(stride)
    return torch.mkldnn_convolution(source, weight, None, zeros, list(stride), list(dilation), groups)


def _in_runs(left: Tensor, right: Tensor, run: int, dtype: torch.dtype, sum_dtype: torch.dtype) -> Tensor:
    shape = (*left.shape[:-1], right.shape[-1])
    total = torch.zeros(shape, dtype=sum_dtype, device=left.device)
    for start in range(0, left.shape[-1], run):
        part = torch.matmul(left[..., start : start + run].to(dtype), right[..., start : start + run, :].to(dtype))
        total += part.to(sum_dtype)
    return total


def _float32_is_exact() -> bool:
    """Whether float32 products keep 24 bits.

    TF32 and bfloat16 do not, so a user's choice of them costs time here, not bits.
    """
    try:
        return torch.get_float32_matmul_precision() == "highest"
    except RuntimeError:
        return False  # Torch refuses to answer where the precision was chosen for one backend alone.
