"""A hash of what a converted model computes, apart from its weights."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from torch.fx import GraphModule, Node

from asim_fx.nn import CimModule
from asim_fx.ops.config import OpConfig


def whole_config(config: OpConfig) -> str:
    """Return all that a site computes; the engine never changes a bit of it."""
    return replace(config, engine="auto").dumps()


def fingerprint(graph_modules: Mapping[str, GraphModule], describe: Callable[[OpConfig], str] = whole_config) -> str:
    """Return the SHA-256 of the graphs: operations, their wiring, and the configuration of every simulated site.

    Node names do not count, since torch numbers them as it likes; positions do.

    Args:
        graph_modules: the lowered graphs by submodule name.
        describe: what counts of the configuration of a site.
    """
    digest = hashlib.sha256()
    for name, graph_module in sorted(graph_modules.items()):
        digest.update(f"graph {name}\n".encode())
        numbers: dict[Node, int] = {}
        for number, node in enumerate(graph_module.graph.nodes):
            numbers[node] = number
            target = "" if node.op in ("placeholder", "output") else str(node.target)
            arguments = _in_words((node.args, dict(node.kwargs)), numbers)
            digest.update(f"{number} {node.op} {target} {arguments}\n".encode())
        for site, module in sorted(graph_module.named_modules()):
            if isinstance(module, CimModule):
                digest.update(f"site {site} {describe(module.config)}\n".encode())
    return digest.hexdigest()


def _in_words(value: Any, numbers: Mapping[Node, int]) -> str:
    if isinstance(value, Node):
        return f"%{numbers[value]}"
    if isinstance(value, (list, tuple)):
        return "(" + ",".join(_in_words(item, numbers) for item in value) + ")"
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{_in_words(item, numbers)}" for key, item in sorted(value.items())) + "}"
    return repr(value)
