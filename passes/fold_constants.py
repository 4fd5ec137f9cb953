"""Compute once, while compiling, whatever depends on no input: standardised weights, position biases, masks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Graph, GraphModule, Node
from torch.fx.node import map_arg

from asim_fx.graph.constants import constant_nodes
from asim_fx.graph.edit import (
    aten,
    fetch,
    free_name,
    get_tensor,
    has_path,
    is_saved,
    owner_of,
    packet_of,
    storage_of,
    store,
    written_args,
)
from asim_fx.graph.macs import node_macs
from asim_fx.graph.recurrence import RECURRENCE
from asim_fx.graph.symbolic import numel_hint, tensor_of
from asim_fx.pipeline import Fact, FoldedOp, PassContext, graph_pass

_GROWTH_LIMIT = 16
_SIZE_LIMIT_BYTES = 32 * 2**20
"""A result beyond both limits is computed at each call instead, unless it is a weight."""

_WEIGHT_OPERANDS: dict[Any, tuple[int, ...]] = {
    aten.conv1d: (1,),
    aten.conv2d: (1,),
    aten.conv3d: (1,),
    aten.convolution: (1,),
    aten.conv_transpose1d: (1,),
    aten.conv_transpose2d: (1,),
    aten.conv_transpose3d: (1,),
    aten.linear: (1,),
    RECURRENCE: (1,),
    aten.matmul: (0, 1),
}


@graph_pass(requires=[Fact.FLAT, Fact.NO_NOOPS], provides=[Fact.STATIC_WEIGHTS])
def fold_constants(graph_module: GraphModule, context: PassContext) -> bool:
    """Replace every maximal constant sub-graph by its value, a parameter or buffer of its own.

    Example:
        ``conv2d(x, reshape_as(batch_norm(conv.weight), conv.weight))`` becomes ``conv2d(x, conv.weight)``, and
        ``conv.weight`` now holds the standardised weight.

    A result that is a site's weight replaces the parameter it is made from, where that has the same shape and no other
    use; otherwise it stands beside it (``table_folded``). A mere view of one parameter stays a view of it, unless it is
    a weight. Products folded away are recorded in ``context.log.folded``. In a graph that is to be trained, what is
    computed from parameters is computed at each call.
    """
    graph = graph_module.graph
    refused: set[Node] = _trained(graph_module) if context.trainable else set()
    while True:
        constants = constant_nodes(graph, refused)
        results = [node for node in constants if _is_result(node, constants)]
        values, failed = _evaluate(graph_module, constants, results)
        too_large = {node for node in results if node not in failed and _is_too_large(node, constants)}
        if not failed | too_large:
            break
        refused |= failed | too_large
    roots = {node: _roots_of(node, constants) for node in results}
    for node in results:
        _replace(graph_module, node, values[node], roots, constants)
    for node in reversed([node for node in constants if node.op == "call_function"]):
        if not node.users and (values or node in refused):
            macs = node_macs(node)
            if macs:
                context.log.folded.append(FoldedOp(_qualified(context, owner_of(node)[0]), str(node.target), macs))
            graph.erase_node(node)
    for node in reversed([node for node in constants if node.op == "get_attr"]):
        if not node.users:
            graph.erase_node(node)
            _forget(graph_module, str(node.target))
    return bool(results)


def _forget(graph_module: GraphModule, path: str) -> None:
    """Remove a captured constant that nothing reads any more; what is in the state dict stays."""
    read = any(node.target == path for node in graph_module.graph.find_nodes(op="get_attr"))
    if not read and has_path(graph_module, path) and not is_saved(graph_module, path):
        owner, _, name = path.rpartition(".")
        delattr(graph_module.get_submodule(owner), name)


def _trained(graph_module: GraphModule) -> set[Node]:
    held = ((node, fetch(graph_module, str(node.target))) for node in graph_module.graph.find_nodes(op="get_attr"))
    return {node for node, tensor in held if isinstance(tensor, nn.Parameter) and tensor.requires_grad}


def _qualified(context: PassContext, name: str) -> str:
    return ".".join(part for part in (context.prefix, name) if part)


def _is_result(node: Node, constants: Mapping[Node, None]) -> bool:
    """Whether a computed constant is used by something that is not constant."""
    outside = [user for user in node.users if user not in constants]
    if node.op == "get_attr" or not outside or not isinstance(node.meta.get("val"), Tensor):
        return False
    return _feeds_weight(node) or not _is_view(node, constants)


def _feeds_weight(node: Node) -> bool:
    return any(
        position < len(user.args) and user.args[position] is node
        for user in node.users
        for position in _WEIGHT_OPERANDS.get(packet_of(user), ())
    )


def _is_view(node: Node, constants: Mapping[Node, None]) -> bool:
    storages = {storage_of(root) for root in _roots_of(node, constants)}
    return storages == {storage_of(node)}


def _roots_of(node: Node, constants: Mapping[Node, None]) -> list[Node]:
    """Return the parameters and buffers that a constant is made from, in the order they were read."""
    found: dict[Node, None] = {}
    pending, seen = [node], {node}
    while pending:
        current = pending.pop()
        if current.op == "get_attr":
            found[current] = None
        fresh = [source for source in current.all_input_nodes if source not in seen]
        seen.update(fresh)
        pending += reversed(fresh)
    return list(found)


def _is_too_large(node: Node, constants: Mapping[Node, None]) -> bool:
    if _feeds_weight(node):
        return False
    value = tensor_of(node)
    size = numel_hint(value.shape) * value.element_size()
    inputs = sum(
        numel_hint(tensor_of(root).shape) * tensor_of(root).element_size() for root in _roots_of(node, constants)
    )
    return size > _SIZE_LIMIT_BYTES and size > _GROWTH_LIMIT * inputs


def _evaluate(
    graph_module: GraphModule, constants: Mapping[Node, None], results: Iterable[Node]
) -> tuple[dict[Node, Tensor], set[Node]]:
    """Run the constant calls that results need, in graph order so that in-place changes land in time."""
    needed = _needed(constants, results)
    env: dict[Node, Any] = {}
    failed: set[Node] = set()
    for node in constants:
        if node not in needed:
            continue
        if node.op == "get_attr":
            env[node] = fetch(graph_module, str(node.target)).detach()
            continue
        args, kwargs = map_arg((node.args, dict(node.kwargs)), lambda arg: env[arg])
        try:
            with torch.no_grad():
                env[node] = node.target(*args, **kwargs)  # type: ignore[operator]
        except (RuntimeError, NotImplementedError):
            # An operation without a kernel here, or a constant of another device: it stays in the graph.
            failed.add(node)
            break
    return {node: env[node] for node in results if node in env}, failed


def _needed(constants: Mapping[Node, None], results: Iterable[Node]) -> set[Node]:
    needed = set(results)
    storages = {storage_of(node) for node in needed}
    for node in reversed(list(constants)):
        writes = {storage_of(argument) for argument in written_args(node)}
        if node in needed or writes & storages:
            needed.add(node)
            needed.update(node.all_input_nodes)
            storages.update(storage_of(source) for source in node.all_input_nodes)
    return needed


def _replace(
    graph_module: GraphModule,
    node: Node,
    value: Tensor,
    roots: Mapping[Node, list[Node]],
    constants: Mapping[Node, None],
) -> None:
    graph = graph_module.graph
    path = _path_for(graph_module, node, roots[node], constants)
    parameters = [fetch(graph_module, str(root.target)) for root in roots[node]]
    parameters = [held for held in parameters if isinstance(held, nn.Parameter)]
    # Never a view of the parameter: folding batch norm writes a new tensor under this name.
    value = value.clone(memory_format=torch.contiguous_format)
    if parameters and value.is_floating_point():
        trained = any(parameter.requires_grad for parameter in parameters)
        store(graph_module, path, nn.Parameter(value, requires_grad=trained))
    else:
        # What comes from saved tensors is saved too: another model of the same form may hold other values.
        kept = any(is_saved(graph_module, str(root.target)) for root in roots[node])
        store(graph_module, path, value, persistent=kept)
    with graph.inserting_before(node):
        held = get_tensor(graph, graph_module, path, like=node)
    node.replace_all_uses_with(held, delete_user_cb=lambda user: user not in constants)


def _path_for(graph_module: GraphModule, node: Node, roots: list[Node], constants: Mapping[Node, None]) -> str:
    value = tensor_of(node)
    if _feeds_weight(node):
        for root in roots:
            held = tensor_of(root)
            if (
                held.shape == value.shape
                and held.dtype == value.dtype
                and _only_use(graph_module.graph, root, node, constants)
            ):
                return str(root.target)
    if roots:
        return free_name(graph_module, f"{roots[0].target}_folded")
    owner = owner_of(node)[0]
    return free_name(graph_module, f"{owner}.folded_constant" if owner else "folded_constant")


def _only_use(graph: Graph, root: Node, result: Node, constants: Mapping[Node, None]) -> bool:
    """Whether all that is read from a parameter, under any of its names, ends in this one result."""
    pending = [node for node in graph.nodes if node.op == "get_attr" and storage_of(node) == storage_of(root)]
    while pending:
        current = pending.pop()
        if current is result:
            continue
        if current not in constants or (current.op != "get_attr" and _is_result(current, constants)):
            return False
        pending += current.users
    return True
