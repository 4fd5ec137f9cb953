"""One operation as the published simulator describes it: a case of the conformance data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from asim_fx.compat.arguments import VARIANTS, DigitalCycles, config_of, read_arguments, tile_step
from asim_fx.errors import UsageError
from asim_fx.ir import BatchLayout
from asim_fx.ops.conv import check_conv, output_extents
from asim_fx.ops.draws import Seed
from asim_fx.ops.linear import check_linear
from asim_fx.ops.matmul import broadcast_batch, check_matmul
from asim_fx.ops.operation import simulate_conv, simulate_linear, simulate_matmul

if TYPE_CHECKING:
    from numpy.typing import NDArray

OPS = ("conv", "linear", "qk", "av", "matmul")


def simulate_case(
    case: Mapping[str, Any],
    arrays: Mapping[str, NDArray[Any] | Tensor],
    seed: int = 0,
    *,
    digital_cycles: DigitalCycles = "exact",
) -> Tensor:
    """Run one case of the conformance data.

    Args:
        case: ``op`` (conv, linear, qk, av, matmul), ``signed`` (streamed operand), ``variant`` (base, current,
            weight_parallel, vote), ``cfg`` (ASiM's arguments); for conv also ``stride``, ``padding``, ``dilation``,
            ``groups``.
        arrays: ``x``, ``w`` and optionally ``b`` as given to the operation: linear weights are (out, in); qk: x = Q and
            w = K^T; av: x = scores and w = V. The first dimension is the batch.
        seed: of all noise.
        digital_cycles: ``adc`` sends digital (hybrid) cycles through the converter, as the published simulator does.

    Returns:
        The float32 result, bias included.

    Raises:
        InputError: the shapes do not fit.
        UsageError: an unknown op, variant or argument, arguments that exclude each other, or an array is missing.
        NumericsError: NaN or infinity in an operand.
    """
    op, variant = case.get("op"), case.get("variant", "base")
    if op not in OPS:
        message = f"unknown op {op!r}"
        raise UsageError(message, hint=f"one of {', '.join(OPS)}")
    if variant not in VARIANTS:
        message = f"unknown variant {variant!r}"
        raise UsageError(message, hint=f"one of {', '.join(VARIANTS)}")
    missing = [name for name in ("x", "w") if name not in arrays]
    if missing:
        message = f"arrays: missing {' and '.join(missing)}"
        raise UsageError(message, hint="x is the input, w the weight; for qk Q and K^T, for av the scores and V")
    x, w = torch.as_tensor(arrays["x"]).float(), torch.as_tensor(arrays["w"]).float()
    _check_shapes(case, x, w)
    arguments = read_arguments(case.get("cfg", {}), op)
    taps = math.prod(w.shape[2:]) if op == "conv" else 1
    # Scores are never negative and K may always be, whatever the case says of "signed".
    signed = op == "qk" or (op != "av" and bool(case.get("signed", True)))
    elements = _elements_of_sample(case, x, w)
    config = config_of(
        arguments,
        variant=variant,
        signed=signed,
        step=tile_step(arguments.nrow, taps),
        layout=BatchLayout(elements, elements),
        digital_cycles=digital_cycles,
    )
    draw = Seed(seed)
    if op == "conv":
        geometry = _geometry(case, w.dim() - 2)
        y = simulate_conv(x, w, config, draw, **geometry)
    elif op == "linear":
        y = simulate_linear(x, w, config, draw)
    else:
        y = simulate_matmul(x, w, config, draw, stored_first=op == "qk")
    if arrays.get("b") is None:
        return y
    bias = torch.as_tensor(arrays["b"]).float()
    return y + (bias.view(-1, *[1] * (y.dim() - 2)) if op == "conv" else bias)


def _check_shapes(case: Mapping[str, Any], x: Tensor, w: Tensor) -> None:
    if case["op"] == "conv":
        check_conv(x.shape, w.shape, w.dim() - 2, case.get("groups", 1))
    elif case["op"] == "linear":
        check_linear(x.shape, w.shape)
    else:
        check_matmul(x.shape, w.shape)


def _geometry(case: Mapping[str, Any], dims: int) -> dict[str, Any]:
    def each(name: str, default: int) -> list[int]:
        value: int | Sequence[int] = case.get(name, default)
        return [value] * dims if isinstance(value, int) else list(value)

    padding = [side for pad in each("padding", 0) for side in (pad, pad)]
    return {
        "stride": each("stride", 1),
        "padding": padding,
        "dilation": each("dilation", 1),
        "groups": cast(int, case.get("groups", 1)),
    }


def _elements_of_sample(case: Mapping[str, Any], x: Tensor, w: Tensor) -> int:
    """Return how many elements of the result belong to one sample, the first dimension being the batch."""
    if case["op"] == "linear":
        return max(1, math.prod(x.shape[1:-1]) * w.shape[0])
    if case["op"] != "conv":
        return max(1, math.prod(broadcast_batch(x.shape, w.shape)[1:]) * x.shape[-2] * w.shape[-1])
    geometry = _geometry(case, w.dim() - 2)
    stride, padding, dilation = geometry["stride"], geometry["padding"], geometry["dilation"]
    extents = output_extents(x.shape, w.shape, stride, padding, dilation)
    return max(1, w.shape[0] * math.prod(extents))
