"""The size of a site: its reduction, outputs, groups and vectors for one image, and why it cannot be lowered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch.fx import Node
from torch.utils import _pytree as pytree

from asim_fx.graph.edit import argument, aten, packet_of, rank_of
from asim_fx.graph.macs import RECURRENT_CELLS, RECURRENT_LAYERS, node_macs
from asim_fx.graph.recurrence import RECURRENCE
from asim_fx.graph.symbolic import extent, hint, is_batched, numel_hint, per_image, shape_of, tensor_of, value_of
from asim_fx.ir import ConvGeometry, OpKind, OpSite, annotation_of

_CONVOLUTIONS = frozenset({aten.conv1d, aten.conv2d, aten.conv3d})
_TRANSPOSED = frozenset({aten.conv_transpose1d, aten.conv_transpose2d, aten.conv_transpose3d})
_FLOATS = frozenset({torch.float16, torch.bfloat16, torch.float32, torch.float64})


def measure_site(node: Node, name: str, module: str, dynamic: frozenset[Node], batch: int) -> OpSite:
    """Return the site of a call.

    Args:
        node: the call.
        name: its site's name.
        module: the module that makes the call.
        dynamic: the nodes that depend on the model's input.
        batch: size of the example's batch; counts are divided by it where an operand holds the batch.
    """
    packet = packet_of(node)
    if packet in _CONVOLUTIONS | _TRANSPOSED:
        site = _convolution(node, name, batch)
    elif packet is RECURRENCE:
        site = _recurrence(node, name, batch)
    elif packet is aten.linear:
        site = _linear(node, name, batch)
    elif packet is aten.matmul and rank_of(node.args[0]) > 1 and rank_of(node.args[1]) > 1:
        site = _product(node, name, batch)
    else:
        site = _other(node, name, batch)
    stored = node.args[0] if site.kind is OpKind.QK else node.args[2 if packet is aten.bilinear else 1]
    static = isinstance(stored, Node) and stored not in dynamic
    unsupported = site.unsupported or _why_unsupported(node, site, static=static)
    return replace(site, module=module, static_weight=static, unsupported=unsupported, example_macs=node_macs(node))


def _macs_of_one_image(node: Node, batch: int) -> int:
    """Return the multiply-accumulates for one image; all of them where no operand belongs to any image."""
    values = pytree.tree_leaves([each.meta.get("val") for each in (node, *node.all_input_nodes)])
    depends = any(isinstance(value, torch.Tensor) and is_batched(value.shape) for value in values)
    return node_macs(node) // batch if depends else node_macs(node)


def _why_unsupported(node: Node, site: OpSite, *, static: bool) -> str:
    dtypes = {tensor_of(operand).dtype for operand in node.args[:2] if isinstance(operand, Node)}
    strange = sorted(str(dtype).removeprefix("torch.") for dtype in dtypes - _FLOATS)
    if strange:
        return f"its operands are {' and '.join(strange)}, not real floating-point numbers"
    if site.kind is OpKind.LINEAR and not static:
        return "its weight is computed from the input"
    if site.kind is OpKind.CONV and is_batched(shape_of(node.args[1])) and not _has_a_weight_a_sample(node):
        return "the batch is part of the stored matrix"
    if site.kind is OpKind.CONV and rank_of(node.args[0]) != rank_of(node.args[1]):
        return "its input has no batch dimension"
    if packet_of(node) is aten.matmul and _batch_in_matrix(node, site):
        return "the batch is part of the stored matrix"
    return ""


def _has_a_weight_a_sample(node: Node) -> bool:
    """Whether a convolution's groups are those of all samples, each with a computed weight of its own."""
    weight, groups = shape_of(node.args[1]), value_of(argument(node, 6, "groups", 1))
    outputs, count = extent(weight[0]), extent(groups)
    return not is_batched(weight[1:]) and None not in (outputs, count) and outputs.batched and count.batched  # type: ignore[union-attr]


def _batch_in_matrix(node: Node, site: OpSite) -> bool:
    first, second = shape_of(node.args[0]), shape_of(node.args[1])
    dims = [first[-1], second[-2], first[-2] if site.kind is OpKind.QK else second[-1]]
    return any(isinstance(dim, torch.SymInt) and (extent(dim) is None or extent(dim).batched) for dim in dims)  # type: ignore[union-attr]


def _convolution(node: Node, name: str, batch: int) -> OpSite:
    weight = [hint(dim) for dim in shape_of(node.args[1])]
    count = value_of(argument(node, 6, "groups", 1))
    groups = hint(count)
    taps = numel_hint(weight[2:])
    if packet_of(node) in _TRANSPOSED:
        k, n = weight[0] // groups * taps, weight[1]
    else:
        k, n = weight[1] * taps, weight[0] // groups
    groups = groups // batch if is_batched([count]) else groups
    macs = _macs_of_one_image(node, batch)
    return OpSite(
        name=name,
        kind=OpKind.CONV,
        op=str(node.target),
        k=k,
        n=n,
        groups=groups,
        vectors=macs // (k * n * groups),
        macs=macs,
        input_shape=per_image(shape_of(node.args[0]), batch),
        weight_shape=per_image(shape_of(node.args[1]), batch),
        output_shape=per_image(shape_of(node), batch),
        geometry=geometry_of(node),
    )


def geometry_of(node: Node) -> ConvGeometry:
    """Return the geometry of a convolution; string padding becomes pairs, the odd zero at the end as in torch."""
    kernel = tuple(hint(dim) for dim in shape_of(node.args[1])[2:])
    stride = _each(argument(node, 3, "stride", 1), len(kernel))
    if packet_of(node) in _TRANSPOSED:
        return _transposed_geometry(node, kernel, stride)
    dilation = _each(argument(node, 5, "dilation", 1), len(kernel))
    padding = argument(node, 4, "padding", 0)
    if padding == "same":
        totals = [step * (taps - 1) for step, taps in zip(dilation, kernel, strict=True)]
        pairs = tuple((total // 2, total - total // 2) for total in totals)
    elif padding == "valid":
        pairs = ((0, 0),) * len(kernel)
    else:
        pairs = tuple((amount, amount) for amount in _each(padding, len(kernel)))
    return ConvGeometry(kernel, stride, pairs, dilation)


def _transposed_geometry(node: Node, kernel: tuple[int, ...], stride: tuple[int, ...]) -> ConvGeometry:
    padding = _each(argument(node, 4, "padding", 0), len(kernel))
    return ConvGeometry(
        kernel,
        stride,
        tuple((amount, amount) for amount in padding),
        _each(argument(node, 7, "dilation", 1), len(kernel)),
        output_padding=_each(argument(node, 5, "output_padding", 0), len(kernel)),
    )


def _each(value: Any, count: int) -> tuple[int, ...]:
    values = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    return values * count if len(values) == 1 else values


def _linear(node: Node, name: str, batch: int) -> OpSite:
    weight = shape_of(node.args[1])
    k, n = hint(weight[-1]), hint(weight[0]) if len(weight) > 1 else 1
    macs = _macs_of_one_image(node, batch)
    return OpSite(
        name=name,
        kind=OpKind.LINEAR,
        op=str(node.target),
        k=k,
        n=n,
        groups=1,
        vectors=macs // (k * n),
        macs=macs,
        input_shape=per_image(shape_of(node.args[0]), batch),
        weight_shape=per_image(weight, batch),
        output_shape=per_image(shape_of(node), batch),
    )


def _recurrence(node: Node, name: str, batch: int) -> OpSite:
    """A linear whose streamed vectors are the hidden states of all steps."""
    weight, gates, output = shape_of(node.args[1]), shape_of(node.args[3]), tuple(node.meta["val"][0].shape)
    macs = _macs_of_one_image(node, batch)
    return OpSite(
        name=name,
        kind=OpKind.LINEAR,
        op=str(node.target),
        k=hint(weight[1]),
        n=hint(weight[0]),
        groups=1,
        vectors=macs // numel_hint(weight),
        macs=macs,
        input_shape=per_image(output, batch),
        weight_shape=per_image(weight, batch),
        output_shape=per_image(gates, batch),
    )


def _product(node: Node, name: str, batch: int) -> OpSite:
    """In QK^T the second operand, K^T, is streamed and shown as K; elsewhere the first is streamed."""
    first, second, result = shape_of(node.args[0]), shape_of(node.args[1]), shape_of(node)
    role = annotation_of(node).role
    streamed, stored = ((*second[:-2], second[-1], second[-2]), first) if role == "qk" else (first, second)
    k, n = hint(first[-1]), hint(result[-2] if role == "qk" else result[-1])
    matrices = numel_hint(stored[:-2])
    groups = matrices // batch if is_batched(stored[:-2]) else matrices
    macs = _macs_of_one_image(node, batch)
    return OpSite(
        name=name,
        kind=OpKind(role) if role else OpKind.MATMUL,
        op=str(node.target),
        k=k,
        n=n,
        groups=groups,
        vectors=macs // (k * n * groups),
        macs=macs,
        input_shape=per_image(streamed, batch),
        weight_shape=per_image(stored, batch),
        output_shape=per_image(result, batch),
    )


def _other(node: Node, name: str, batch: int) -> OpSite:
    """Describe a form that is counted but not lowered: as one matrix that does all its multiplies."""
    packet = packet_of(node)
    word = str(getattr(packet, "__name__", packet))
    operands = [leaf for leaf in node.all_input_nodes if isinstance(leaf.meta.get("val"), torch.Tensor)]
    kind, reason = OpKind.MATMUL, f"{word} is no plain matrix product"
    weight = operands[min(1, len(operands) - 1)]
    if packet in (aten.convolution, aten._convolution):
        kind, reason = OpKind.CONV, f"convolutions written as {word} are not lowered"
    elif packet is aten.bilinear:
        kind, reason = OpKind.LINEAR, "bilinear layers, which multiply their inputs with each other, are not lowered"
        weight = next(leaf for leaf in operands if leaf is node.args[2])
    elif packet in RECURRENT_LAYERS | RECURRENT_CELLS:
        kind, reason = OpKind.LINEAR, f"{word} with packed sequences, projections or dropout is not lowered"
        weight = next(leaf for leaf in operands if leaf.op == "get_attr" and leaf.meta["val"].ndim == 2)
    shape = shape_of(weight)
    macs = _macs_of_one_image(node, batch)
    k, n = _matrix(packet, shape, node)
    result = node.meta["val"]
    result = result[0] if isinstance(result, Sequence) else result
    return OpSite(
        name=name,
        kind=kind,
        op=str(node.target),
        k=k,
        n=n,
        groups=1,
        vectors=max(1, macs // max(1, k * n)),
        macs=macs,
        input_shape=per_image(shape_of(operands[0]), batch),
        weight_shape=per_image(shape, batch),
        output_shape=per_image(tuple(result.shape), batch),
        unsupported=reason,
    )


def _matrix(packet: Any, shape: Sequence[Any], node: Node) -> tuple[int, int]:
    if packet in RECURRENT_LAYERS | RECURRENT_CELLS:
        return hint(shape[1]), hint(shape[0])
    if packet is aten.bilinear:
        return numel_hint(shape[1:]), hint(shape[0])
    return hint(shape[-1]), numel_hint(shape[:-1])
