"""Small edits of a captured graph, and questions to it: new calls with their fake values, tensors by name, aliases.

In-place operations survive capture. Two nodes alias each other where their fake values share a storage; whoever
moves or removes a node asks ``mutated_storages`` first.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch._dispatch.python import enable_python_dispatcher
from torch.fx import Graph, GraphModule, Node
from torch.fx.node import map_arg
from torch.utils import _pytree as pytree

from asim_fx.graph.symbolic import tensor_of, value_of

aten = torch.ops.aten


def packet_of(node: Any) -> Any:
    """Return the operation of a node without its overload (``aten.conv2d``), or its target, or None."""
    if not isinstance(node, Node) or node.op != "call_function":
        return None
    return getattr(node.target, "overloadpacket", node.target)


def call_op(graph: Graph, target: Any, args: Sequence[Any], *, like: Node, **kwargs: Any) -> Node:
    """Insert a call at the graph's insertion point, with its fake value.

    Args:
        graph: the graph.
        target: an aten overload, or ``operator.getitem``.
        args: arguments, nodes among them.
        like: the node that it stands for; the module it belongs to is taken from there.
        kwargs: keyword arguments of the operation.
    """
    node = graph.call_function(target, tuple(args), kwargs)
    for key in ("nn_module_stack", "stack_trace", "source_fn_stack", "custom"):
        if key in like.meta:
            node.meta[key] = like.meta[key]
    refresh_value(node)
    return node


def refresh_value(node: Node) -> None:
    """Compute the fake value of a call anew from those of its arguments.

    It runs by torch's Python kernels, as in torch.export. Some C++ kernels of composite operations (``matmul``) read a
    symbolic size as a number: they fail, or fix the batch at that of the example.
    """
    args, kwargs = map_arg((node.args, dict(node.kwargs)), value_of)
    mode = fake_mode_of(node.graph)
    with torch.no_grad(), enable_python_dispatcher(), mode:
        node.meta["val"] = node.target(*args, **kwargs)  # type: ignore[operator]
    node.meta.pop("tensor_meta", None)


def fake_mode_of(graph: Graph) -> Any:
    """Return the mode that made the fake values of a graph."""
    for node in graph.nodes:
        for leaf in pytree.tree_leaves(node.meta.get("val")):
            if hasattr(leaf, "fake_mode"):
                return leaf.fake_mode
    message = "the graph holds no fake value; was it captured by asim_fx.capture?"
    raise ValueError(message)


def getitem(graph: Graph, node: Node, index: int, *, like: Node) -> Node:
    """Insert ``node[index]`` of a node that holds several values."""
    return call_op(graph, operator.getitem, (node, index), like=like)


def owner_of(node: Node) -> tuple[str, int]:
    """Return the qualified name of the module that makes a call, and which call of that module it is."""
    stack = node.meta.get("nn_module_stack") or {}
    if not stack:
        return "", 0
    key, (name, _) = next(reversed(stack.items()))
    if key.startswith("_empty_nn_module_stack"):
        return "", 0
    call = str(key).rpartition("@")[2]
    return str(name).partition("@")[0], int(call) if call.isdigit() else 0


def fetch(root: nn.Module, path: str) -> Any:
    """Return the attribute of a module by its dotted path."""
    held: Any = root
    for part in path.split("."):
        held = getattr(held, part)
    return held


def has_path(root: nn.Module, path: str) -> bool:
    """Return whether a module has an attribute at this dotted path."""
    try:
        fetch(root, path)
    except AttributeError:
        return False
    return True


def is_saved(root: nn.Module, path: str) -> bool:
    """Return whether the tensor at a dotted path is part of the state dict, so that training or loading changes it."""
    parent, _, name = path.rpartition(".")
    owner = root.get_submodule(parent)
    return name in owner._parameters or (name in owner._buffers and name not in owner._non_persistent_buffers_set)


def free_name(root: nn.Module, path: str) -> str:
    """Return a dotted path that is not taken: the one given, or that with a number after it."""
    if not has_path(root, path):
        return path
    number = 1
    while has_path(root, f"{path}_{number}"):
        number += 1
    return f"{path}_{number}"


def store(root: GraphModule, path: str, tensor: Tensor, *, persistent: bool = True) -> None:
    """Register a tensor under a dotted path: a parameter stays one, anything else becomes a buffer.

    Modules on the way that do not exist are made; what is at the path already is replaced.
    """
    parent_path, _, name = path.rpartition(".")
    parent: nn.Module = root
    for part in parent_path.split(".") if parent_path else ():
        if not isinstance(getattr(parent, part, None), nn.Module):
            parent.add_module(part, nn.Module())
        parent = getattr(parent, part)
    if hasattr(parent, name):
        delattr(parent, name)
    if isinstance(tensor, nn.Parameter):
        parent.register_parameter(name, tensor)
    else:
        parent.register_buffer(name, tensor, persistent=persistent)


def get_tensor(graph: Graph, root: GraphModule, path: str, *, like: Node) -> Node:
    """Insert a ``get_attr`` of a stored tensor at the graph's insertion point, with its fake value."""
    node = graph.get_attr(path)
    for key in ("nn_module_stack", "stack_trace"):
        if key in like.meta:
            node.meta[key] = like.meta[key]
    tensor = fetch(root, path).detach()
    node.meta["val"] = fake_mode_of(graph).from_tensor(tensor, static_shapes=True)
    return node


def written_args(node: Node) -> Iterator[Node]:
    """Yield the arguments that a call changes in place."""
    schema = getattr(node.target, "_schema", None)
    if node.op != "call_function" or schema is None or not schema.is_mutable:
        return
    for position, argument in enumerate(schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            given = node.args[position] if position < len(node.args) else node.kwargs.get(argument.name)
            yield from (leaf for leaf in pytree.tree_leaves(given) if isinstance(leaf, Node))


def storage_of(node: Node) -> int | None:
    """Return what identifies the memory behind a node's tensor; nodes that alias each other give the same."""
    value = value_of(node)
    return int(value.untyped_storage()._cdata) if isinstance(value, Tensor) else None


def mutated_storages(graph: Graph) -> frozenset[int]:
    """Return the storages that some call of the graph changes in place."""
    written = (storage_of(argument) for node in graph.nodes for argument in written_args(node))
    return frozenset(storage for storage in written if storage is not None)


def is_random(node: Node) -> bool:
    """Return whether a call draws random numbers."""
    return torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ())


def dynamic_nodes(graph: Graph) -> frozenset[Node]:
    """Return the nodes whose value depends on an input of the graph or on random numbers."""
    found: set[Node] = set()
    for node in graph.nodes:
        if (
            node.op in ("placeholder", "call_module")
            or is_random(node)
            or any(a in found for a in node.all_input_nodes)
        ):
            found.add(node)
        if node in found:
            # What it writes in place depends on it too.
            found.update(written_args(node))
    return frozenset(found)


def argument(node: Node, position: int, name: str, default: Any = None) -> Any:
    """Return an argument of a call, however it was passed."""
    if len(node.args) > position:
        return node.args[position]
    return node.kwargs.get(name, default)


def option(node: Node, name: str) -> Any:
    """Return an argument whose position differs between the overloads of an operation, or its default."""
    for position, formal in enumerate(node.target._schema.arguments):  # type: ignore[union-attr]
        if formal.name == name:
            return argument(node, position, name, formal.default_value)
    return None


def rank_of(node: Any) -> int:
    """Return the number of dimensions of a node's tensor."""
    return tensor_of(node).ndim
