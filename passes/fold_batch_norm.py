"""Fold batch norm into the convolution or linear before it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Graph, GraphModule, Node

from asim_fx.graph.edit import (
    argument,
    aten,
    fetch,
    free_name,
    get_tensor,
    owner_of,
    packet_of,
    rank_of,
    storage_of,
    store,
)
from asim_fx.graph.symbolic import hint, shape_of
from asim_fx.pipeline import Fact, PassContext, graph_pass

_CONVOLUTIONS = frozenset({aten.conv1d, aten.conv2d, aten.conv3d})
_TRANSPOSED = frozenset({aten.conv_transpose1d, aten.conv_transpose2d, aten.conv_transpose3d})
_READS_SHAPE_ONLY = frozenset({aten.reshape_as, aten.view_as, aten.expand_as})


@graph_pass(requires=[Fact.STATIC_WEIGHTS], provides=[Fact.FOLDED])
def fold_batch_norm(graph_module: GraphModule, context: PassContext) -> bool:
    """Scale the weight and shift the bias of the operation before each batch norm, and drop the norm.

    Example:
        ``batch_norm(conv2d(x, w, None), gamma, beta, mean, var)`` becomes ``conv2d(x, w', b')``, with
        ``w' = w * gamma / sqrt(var + eps)`` and ``b' = beta - mean * gamma / sqrt(var + eps)``, in float64.

    The weight keeps its key; a bias that was not there becomes ``<owner>.bias``. A weight that several calls read is
    copied first. A norm that cannot be folded stays, and ``context.log`` says why. Does nothing where
    ``context.fold_batch_norm`` is off.
    """
    if not context.fold_batch_norm:
        return False
    changed = False
    readers = _readers(graph_module.graph)
    for node in list(graph_module.graph.nodes):
        if packet_of(node) is aten.batch_norm:
            source = _source_of(node)
            reason = source if isinstance(source, str) else _fold(graph_module, source, node, readers)
            if reason:
                context.log.note(owner_of(node)[0], f"batch norm stays: {reason}")
            elif isinstance(source, Node):
                context.log.normed.append(".".join(part for part in (context.prefix, owner_of(source)[0]) if part))
            changed |= not reason
    if changed:
        graph_module.graph.eliminate_dead_code()
    return changed


def _source_of(norm: Node) -> Node | str:
    """Return the operation that a norm can be folded into, or why there is none."""
    source = norm.args[0]
    assert isinstance(source, Node)
    if argument(norm, 5, "training"):
        return "it uses the statistics of the batch"
    if rank_of(norm) == 2 and packet_of(source) in (aten.flatten, aten.reshape, aten.view):
        inner = source.args[0]
        assert isinstance(inner, Node)
        if (
            packet_of(inner) is aten.linear
            and shape_of(inner)[-1] == shape_of(source)[-1]
            and _sole_reader(source, norm)
        ):
            return inner if _sole_reader(inner, source) else "what it normalises has other uses"
    if packet_of(source) is aten.linear and rank_of(source) != 2:
        return "it normalises another dimension than the linear before it makes"
    if packet_of(source) not in _CONVOLUTIONS | _TRANSPOSED | {aten.linear}:
        return "there is no convolution or linear right before it"
    return source if _sole_reader(source, norm) else "what it normalises has other uses"


def _sole_reader(source: Node, reader: Node) -> bool:
    """Whether nothing else reads the values of a node; reading its shape does not count."""
    return all(
        user is reader
        or (packet_of(user) in _READS_SHAPE_ONLY and user.args[0] is not source)
        or packet_of(user) is aten.sym_size
        for user in source.users
    )


def _fold(graph_module: GraphModule, source: Node, norm: Node, readers: Counter[int | None]) -> str:
    """Fold and return the empty string, or return why that is not possible."""
    graph = graph_module.graph
    weight, bias = source.args[1], argument(source, 2, "bias")
    operands = [weight, bias, *norm.args[1:5]]
    if norm.args[3] is None or norm.args[4] is None:
        return "it holds no statistics"
    if not all(operand is None or (isinstance(operand, Node) and operand.op == "get_attr") for operand in operands):
        return "the weight before it is computed from the input"
    scale, shift = _scale_and_shift(graph_module, norm)
    assert isinstance(weight, Node)
    held = fetch(graph_module, str(weight.target))
    scaled = (held.detach().double() * _aligned(scale, source, held)).to(held.dtype)
    if bias is not None:
        shift = shift + _tensor(graph_module, bias) * scale
    weight_path = str(weight.target)
    bias_path = _bias_path(graph_module, weight_path) if bias is None else str(bias.target)
    if readers[storage_of(weight)] > 1:
        weight_path = free_name(graph_module, f"{weight_path}_folded")
    if bias is not None and readers[storage_of(bias)] > 1:
        bias_path = free_name(graph_module, f"{bias_path}_folded")
    store(graph_module, weight_path, nn.Parameter(scaled, requires_grad=held.requires_grad))
    store(graph_module, bias_path, nn.Parameter(shift.to(held.dtype), requires_grad=held.requires_grad))
    with graph.inserting_before(source):
        new_weight = get_tensor(graph, graph_module, weight_path, like=source)
        new_bias = get_tensor(graph, graph_module, bias_path, like=source)
    source.args = (source.args[0], new_weight, new_bias, *source.args[3:])
    source.kwargs = {name: value for name, value in source.kwargs.items() if name != "bias"}
    normed = norm.args[0]
    assert isinstance(normed, Node)
    norm.replace_all_uses_with(normed)
    # Who writes in place to the norm's result now writes here: aliases must still share a storage.
    normed.meta["val"] = norm.meta["val"]
    graph.erase_node(norm)
    return ""


def _tensor(graph_module: GraphModule, node: Any) -> Tensor:
    held: Tensor = fetch(graph_module, str(node.target))
    return held.detach().double()


def _scale_and_shift(graph_module: GraphModule, norm: Node) -> tuple[Tensor, Tensor]:
    gamma, beta, mean, variance = (None if arg is None else _tensor(graph_module, arg) for arg in norm.args[1:5])
    assert mean is not None
    assert variance is not None
    scale = torch.rsqrt(variance + float(argument(norm, 7, "eps")))
    scale = scale if gamma is None else scale * gamma
    shift = -mean * scale
    return scale, shift if beta is None else shift + beta


def _aligned(scale: Tensor, source: Node, weight: Tensor) -> Tensor:
    """Shape a scale for each output channel so that it multiplies the weight."""
    if packet_of(source) not in _TRANSPOSED:
        return scale.reshape(-1, *[1] * (weight.ndim - 1))
    groups = int(argument(source, 6, "groups", 1))
    per_group = scale.reshape(groups, 1, hint(shape_of(source)[1]) // groups)
    rows = per_group.expand(groups, weight.shape[0] // groups, -1).reshape(weight.shape[0], -1)
    return rows.reshape(*rows.shape, *[1] * (weight.ndim - 2))


def _bias_path(graph_module: GraphModule, weight_path: str) -> str:
    owner, dot, name = weight_path.rpartition(".")
    if name == "weight":
        held = f"{owner}{dot}bias"
        # A module made without a bias has an attribute that is None in its place.
        return held if _is_vacant(graph_module, held) else free_name(graph_module, held)
    return free_name(graph_module, f"{weight_path}_bias")


def _is_vacant(graph_module: GraphModule, path: str) -> bool:
    try:
        return fetch(graph_module, path) is None
    except AttributeError:
        return True


def _readers(graph: Graph) -> Counter[int | None]:
    """Count the calls that read each stored tensor, under any of its names."""
    counts: Counter[int | None] = Counter()
    for node in graph.find_nodes(op="get_attr"):
        counts[storage_of(node)] += len(node.users)
    return counts
