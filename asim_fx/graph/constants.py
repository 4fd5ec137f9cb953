"""Which nodes of a graph are constant, in-place operations considered. An analysis, not a pass."""

from __future__ import annotations

import operator
from collections.abc import Iterable

import torch
from torch import Tensor
from torch.fx import Graph, Node

from asim_fx.graph.edit import is_random, storage_of, written_args
from asim_fx.graph.symbolic import is_batched


def constant_nodes(graph: Graph, refused: Iterable[Node] = ()) -> dict[Node, None]:
    """Return the nodes whose value is the same at every call and at every batch, in graph order.

    A constant may be built in place (``zeros``, then ``fill_`` on slices of it) as long as nothing that is not constant
    writes to its memory, or reads it before the last write. A parameter or buffer that is written is no constant.

    Args:
        graph: a flat captured graph.
        refused: nodes that must count as not constant, and with them all that share their memory.
    """
    blocked = {storage for node in refused if (storage := storage_of(node)) is not None}
    refused = set(refused)
    order = {node: position for position, node in enumerate(graph.nodes)}
    while True:
        constants = _classify(graph, blocked, refused)
        found = _unsafe_storages(constants, order) - blocked
        if not found:
            return constants
        blocked |= found


def _classify(graph: Graph, blocked: set[int], refused: set[Node]) -> dict[Node, None]:
    constants: dict[Node, None] = {}
    for node in graph.nodes:
        if node in refused or not _holds_plain_tensors(node) or storage_of(node) in blocked:
            continue
        if node.op == "get_attr" or (
            _is_pure_call(node) and all(source in constants for source in node.all_input_nodes)
        ):
            constants[node] = None
    return constants


def _is_pure_call(node: Node) -> bool:
    is_operation = isinstance(node.target, torch._ops.OpOverload) or node.target is operator.getitem
    return node.op == "call_function" and is_operation and not is_random(node)


def _holds_plain_tensors(node: Node) -> bool:
    value = node.meta.get("val")
    values = value if isinstance(value, (list, tuple)) else [value]
    return bool(values) and all(isinstance(one, Tensor) and not is_batched(one.shape) for one in values)


def _unsafe_storages(constants: dict[Node, None], order: dict[Node, int]) -> set[int]:
    """Return memory that holds different values at different times, as something outside the constants sees it."""
    parameters = {storage_of(node) for node in constants if node.op == "get_attr"}
    first_read: dict[int, int] = {}
    for node in constants:
        storage = storage_of(node)
        outside = [order[user] for user in node.users if user not in constants]
        if storage is not None and outside:
            first_read[storage] = min([first_read.get(storage, len(order)), *outside])
    unsafe: set[int] = set()
    for node, position in order.items():
        for written in written_args(node):
            storage = storage_of(written)
            if storage is None:
                continue
            too_late = first_read.get(storage, len(order)) < position
            if node not in constants or storage in parameters or too_late:
                unsafe.add(storage)
    return unsafe & {storage for node in constants if (storage := storage_of(node)) is not None}
