"""Prove activations non-negative, so that an unsigned quantiser can use every code."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Node

from asim_fx.graph.edit import argument, aten, fetch, is_saved, packet_of, storage_of, written_args
from asim_fx.graph.recurrence import RECURRENCE
from asim_fx.graph.symbolic import tensor_of
from asim_fx.ir import OpKind, OpSite, annotate, annotation_of
from asim_fx.pipeline import Fact, PassContext, graph_pass

Proofs = dict[Node, str]
"""Node -> why it is non-negative, at the place in the graph that was reached; empty where nothing is proven."""

_UNSIGNED_DTYPES = frozenset({torch.bool, torch.uint8, torch.uint16, torch.uint32, torch.uint64})


@graph_pass(requires=[Fact.SITES], provides=[Fact.SIGNS])
def infer_sign(graph_module: GraphModule, context: PassContext) -> bool:
    """Annotate every node that is proven non-negative with the reason, and every site with those of its operands.

    Example:
        in ``conv2d(max_pool2d(relu(x)), w)`` the site's ``input_nonnegative`` is ``max_pool2d of relu``.

    One sweep in graph order. An in-place operation changes what is known of all that shares its memory from there on,
    so a site is judged by what its operands hold when it reads them. What is not proven is signed.
    """
    proofs: Proofs = _prove_constants(graph_module)
    groups: dict[int, list[Node]] = {}
    for node in graph_module.graph.nodes:
        reason = _prove(node, proofs)
        for written in written_args(node):
            _overwrite(written, reason, proofs, groups)
        proofs[node] = reason
        storage = storage_of(node)
        if storage is not None:
            groups.setdefault(storage, []).append(node)
        if reason:
            annotate(node, nonnegative=reason)
        site = annotation_of(node).site
        if site is not None:
            annotate(node, site=_with_signs(node, site, proofs))
    return True


def _with_signs(node: Node, site: OpSite, proofs: Proofs) -> OpSite:
    first, second = (proofs.get(arg, "") if isinstance(arg, Node) else "" for arg in node.args[:2])
    if site.kind is OpKind.QK:
        first, second = second, first
    if packet_of(node) is RECURRENCE and node.args[5] != "relu":
        first = ""  # What it streams after the first step is its own result.
    return replace(site, input_nonnegative=first, weight_nonnegative="" if site.static_weight else second)


def _overwrite(written: Node, reason: str, proofs: Proofs, groups: dict[int, list[Node]]) -> None:
    """Note that a call changed a node in place: it, and whatever shares its memory, now holds the result."""
    for member in groups.get(storage_of(written) or 0, []):
        proofs[member] = proofs[member] and reason
    proofs[written] = reason


def _prove(node: Node, proofs: Proofs) -> str:
    value = node.meta.get("val")
    if isinstance(value, Tensor) and value.dtype in _UNSIGNED_DTYPES:
        return str(value.dtype).removeprefix("torch.")
    if node.op == "get_attr":
        return proofs.get(node, "")
    if node.op != "call_function":
        return ""
    packet = packet_of(node)
    operands = [proofs.get(source, "") for source in node.all_input_nodes]
    first = operands[0] if operands else ""
    rule = _RULES.get(packet)
    if packet in _CASTS and isinstance(value, Tensor) and value.dtype != tensor_of(node.args[0]).dtype:
        return first if _keeps_sign(node) else ""
    if packet in _KEEPS:
        return first
    if isinstance(value, Tensor) and not value.dtype.is_floating_point:
        return ""  # Signed integers wrap around.
    if packet in _ALWAYS:
        return _name(node)
    if rule is not None:
        return rule(node, proofs)
    if packet in _SUMMARISES:
        return _summary(node, proofs)
    if packet in _ALL and _all_nonnegative(node, proofs):
        return f"{_name(node)} of {', '.join(dict.fromkeys(map(_root, filter(None, operands))))}"
    return ""


def _name(node: Node) -> str:
    packet = packet_of(node)
    return str(getattr(packet, "__name__", packet)).strip("_")


def _root(reason: str) -> str:
    return reason.rpartition(" of ")[2]


def _prove_constants(graph_module: GraphModule) -> Proofs:
    """Prove what holds the same values at every call: neither trained, nor loaded from a state dict, nor written."""
    nodes = graph_module.graph.nodes
    # ``detach_``, which torch puts after every tensor made in forward, writes no value.
    writing = [node for node in nodes if packet_of(node) is not aten.detach_]
    mutated = {storage_of(written) for node in writing for written in written_args(node)}
    proofs: Proofs = {}
    for node in nodes:
        path = str(node.target)
        if node.op != "get_attr" or storage_of(node) in mutated or is_saved(graph_module, path):
            continue
        held = fetch(graph_module, path)
        is_real = isinstance(held, Tensor) and not held.is_meta and not held.is_complex()
        if is_real and held.numel() and bool(held.detach().min() >= 0):
            proofs[node] = "constant"
    return proofs


def _keeps_sign(node: Node) -> bool:
    """Whether a cast to another dtype can represent every non-negative value that it is given."""
    if packet_of(node) is aten.view:
        return False  # The bits are read as another dtype.
    given, result = tensor_of(node.args[0]).dtype, tensor_of(node).dtype
    if result.is_floating_point or given is torch.bool:
        return True
    are_integers = not any(dtype.is_floating_point or dtype.is_complex for dtype in (given, result))
    return are_integers and torch.iinfo(result).max >= torch.iinfo(given).max


def _holds(value: Any, proofs: Proofs) -> bool:
    if isinstance(value, Node):
        return bool(proofs.get(value))
    if isinstance(value, (list, tuple)):
        return all(_holds(one, proofs) for one in value)
    return isinstance(value, (int, float)) and value >= 0


def _all_nonnegative(node: Node, proofs: Proofs) -> bool:
    """Whether all operands are; a first argument that is a list of tensors, two tensors, or a tensor and a number."""
    count = 1 if isinstance(node.args[0], (list, tuple)) else 2
    is_added = _holds(argument(node, 2, "alpha", 1), proofs)
    return is_added and all(_holds(operand, proofs) for operand in node.args[:count])


def _clamp(node: Node, proofs: Proofs) -> str:
    low, high = argument(node, 1, "min"), argument(node, 2, "max")
    if high is not None and not _holds(high, proofs):
        return ""
    return "clamp" if low is not None and _holds(low, proofs) else _of_first(node, proofs)


def _clamp_max(node: Node, proofs: Proofs) -> str:
    bound = node.args[1]
    if isinstance(bound, Node) and annotation_of(bound).nonnegative == "PACT":
        return _of_first(node, proofs)
    return _of_first(node, proofs) if _holds(node.args[1], proofs) else ""


def _clamp_min(node: Node, proofs: Proofs) -> str:
    return "clamp" if _holds(node.args[1], proofs) else _of_first(node, proofs)


def _hardtanh(node: Node, proofs: Proofs) -> str:
    low, high = argument(node, 1, "min_val", -1.0), argument(node, 2, "max_val", 1.0)
    return "hardtanh" if low >= 0 and high >= 0 else ""


def _threshold(node: Node, proofs: Proofs) -> str:
    limit, value = node.args[1:3]
    return "threshold" if _holds(limit, proofs) and _holds(value, proofs) else ""


def _of_first(node: Node, proofs: Proofs) -> str:
    source = node.args[0]
    return proofs.get(source, "") if isinstance(source, Node) else ""


def _softplus(node: Node, proofs: Proofs) -> str:
    beta, threshold = argument(node, 1, "beta", 1), argument(node, 2, "threshold", 20)
    return "softplus" if beta > 0 and threshold >= 0 else ""


def _elu(node: Node, proofs: Proofs) -> str:
    return _summary(node, proofs) if argument(node, 2, "scale", 1) >= 0 else ""


def _average(node: Node, proofs: Proofs) -> str:
    divisor = argument(node, 6, "divisor_override")
    return _summary(node, proofs) if divisor is None or divisor > 0 else ""


def _max(node: Node, proofs: Proofs) -> str:
    return _maximum(node, proofs) if node.target is aten.max.other else _summary(node, proofs)


def _min(node: Node, proofs: Proofs) -> str:
    if node.target is aten.min.other and not _all_nonnegative(node, proofs):
        return ""
    return _summary(node, proofs)


def _summary(node: Node, proofs: Proofs) -> str:
    first = _of_first(node, proofs)
    return f"{_name(node)} of {_root(first)}" if first else ""


def _product(node: Node, proofs: Proofs) -> str:
    if node.args[0] is node.args[1]:
        return "square"
    if not _all_nonnegative(node, proofs):
        return ""
    roots = (_root(proofs[source]) for source in node.all_input_nodes)
    return f"product of {', '.join(dict.fromkeys(roots))}"


def _power(node: Node, proofs: Proofs) -> str:
    exponent = node.args[1]
    if isinstance(exponent, (int, float)) and exponent % 2 == 0:
        return "even power"
    return _of_first(node, proofs) if isinstance(exponent, (int, float)) else ""


def _maximum(node: Node, proofs: Proofs) -> str:
    return next((proofs[source] for source in node.all_input_nodes if proofs.get(source)), "")


def _pad(node: Node, proofs: Proofs) -> str:
    is_constant = packet_of(node) is aten.constant_pad_nd or argument(node, 2, "mode", "constant") == "constant"
    value = argument(node, 2 if packet_of(node) is aten.constant_pad_nd else 3, "value", 0)
    return _of_first(node, proofs) if not is_constant or value is None or _holds(value, proofs) else ""


def _masked_fill(node: Node, proofs: Proofs) -> str:
    return _of_first(node, proofs) if _holds(node.args[2], proofs) else ""


def _where(node: Node, proofs: Proofs) -> str:
    if len(node.args) < 3 or not _holds(node.args[1:3], proofs):
        return ""
    return "where of " + ", ".join(_root(proofs[arg]) for arg in node.args[1:3] if isinstance(arg, Node))


_ALWAYS = frozenset(
    {
        aten.relu,
        aten.relu_,
        aten.relu6,
        aten.relu6_,
        aten.sigmoid,
        aten.sigmoid_,
        aten.hardsigmoid,
        aten.hardsigmoid_,
        aten.softmax,
        aten._softmax,
        aten._safe_softmax,
        aten.exp,
        aten.exp_,
        aten.abs,
        aten.abs_,
        aten.square,
        aten.square_,
        aten.sqrt,
        aten.sqrt_,
        aten.rsqrt,
        aten.rsqrt_,
        aten.norm,
        aten.linalg_vector_norm,
        aten.zeros,
        aten.ones,
        aten.zeros_like,
        aten.ones_like,
        aten.new_zeros,
        aten.new_ones,
        aten.zero_,
    }
)

_KEEPS = frozenset(
    {
        *(
            aten.view,
            aten.reshape,
            aten.flatten,
            aten.unflatten,
            aten.squeeze,
            aten.unsqueeze,
            aten.reshape_as,
            aten.view_as,
        ),
        *(
            aten.permute,
            aten.transpose,
            aten.mT,
            aten.numpy_T,
            aten.t,
            aten.movedim,
            aten.expand,
            aten.expand_as,
            aten.repeat,
            aten.tile,
        ),
        *(aten.contiguous, aten.clone, aten.alias, aten.detach, aten.detach_, aten.to, aten.type_as, aten._to_copy),
        *(
            aten.slice,
            aten.select,
            aten.narrow,
            aten.split,
            aten.split_with_sizes,
            aten.chunk,
            aten.unbind,
            aten.tensor_split,
        ),
        *(
            aten.index,
            aten.index_select,
            aten.gather,
            aten.roll,
            aten.flip,
            aten.unfold,
            aten.im2col,
            aten.tril,
            aten.triu,
        ),
        *(aten.pixel_shuffle, aten.pixel_unshuffle, aten.channel_shuffle, aten.native_channel_shuffle, aten.diagonal),
        *(aten.dropout, aten.dropout_, aten.repeat_interleave, aten.lift_fresh_copy, aten.sort, aten.topk),
        operator.getitem,
    }
)
"""Operations that move or select values."""

_CASTS = frozenset({aten.to, aten._to_copy, aten.type_as, aten.view})
"""Those of them that can change the dtype."""

_SUMMARISES = frozenset(
    {
        *(aten.max_pool1d, aten.max_pool2d, aten.max_pool3d, aten.max_pool2d_with_indices),
        aten.avg_pool1d,
        *(aten.adaptive_avg_pool1d, aten.adaptive_avg_pool2d, aten.adaptive_avg_pool3d),
        *(aten.adaptive_max_pool1d, aten.adaptive_max_pool2d, aten.adaptive_max_pool3d),
        *(aten.mean, aten.sum, aten.amax, aten.amin, aten.cumsum, aten.prod, aten.std, aten.var),
        *(aten.upsample_nearest1d, aten.upsample_nearest2d, aten.upsample_nearest3d, aten._upsample_nearest_exact2d),
        *(aten.upsample_linear1d, aten.upsample_bilinear2d, aten.upsample_trilinear3d, aten._upsample_bilinear2d_aa),
        *(
            aten.silu,
            aten.silu_,
            aten.gelu,
            aten.gelu_,
            aten.hardswish,
            aten.hardswish_,
            aten.leaky_relu,
            aten.leaky_relu_,
        ),
        *(
            aten.tanh,
            aten.tanh_,
            aten.erf,
            aten.mish,
            aten.mish_,
            aten.log1p,
            aten.floor,
            aten.ceil,
            aten.round,
        ),
    }
)
"""Operations whose result is non-negative where their first operand is."""

_ALL = frozenset({aten.add, aten.add_, aten.div, aten.div_, aten.cat, aten.concat, aten.stack, aten.minimum})

_RULES: dict[Any, Callable[[Node, Proofs], str]] = {
    aten.max: _max,
    aten.min: _min,
    aten.softplus: _softplus,
    aten.elu: _elu,
    aten.elu_: _elu,
    aten.avg_pool2d: _average,
    aten.avg_pool3d: _average,
    aten.mul: _product,
    aten.mul_: _product,
    aten.pow: _power,
    aten.pow_: _power,
    aten.clamp: _clamp,
    aten.clamp_: _clamp,
    aten.clamp_min: _clamp_min,
    aten.clamp_min_: _clamp_min,
    aten.clamp_max: _clamp_max,
    aten.hardtanh: _hardtanh,
    aten.hardtanh_: _hardtanh,
    aten.threshold: _threshold,
    aten.threshold_: _threshold,
    aten.maximum: _maximum,
    aten.pad: _pad,
    aten.constant_pad_nd: _pad,
    aten.masked_fill: _masked_fill,
    aten.masked_fill_: _masked_fill,
    aten.where: _where,
}
