"""Turn a planned graph into the plain networkx graph that the report draws."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import networkx as nx
from torch import Tensor
from torch.fx import Graph, Node
from torch.utils._pytree import tree_leaves

from asim_fx.graph.symbolic import per_image, value_of
from asim_fx.ir import annotation_of
from asim_fx.report.dataflow import simplify
from asim_fx.report.rows import Dataflow, DataflowNode


def trace_dataflow(graph: Graph, batch: int) -> Dataflow:
    """Return sites and what lies between them as boxes and arrows.

    Args:
        graph: with a plan for every site; parameters and constants are left out.
        batch: size of the batch that the graph was captured with.
    """
    drawing: nx.DiGraph[int] = nx.DiGraph()
    numbers: dict[Node, int] = {}
    for number, node in enumerate(graph.nodes):
        if node.op == "get_attr":
            continue
        numbers[node] = number
        drawing.add_node(number, **_attributes(node), elements=_elements(node, batch))
        drawing.add_edges_from((numbers[source], number) for source in node.all_input_nodes if source in numbers)
    return simplify(drawing)


def join_dataflows(drawings: Sequence[Dataflow]) -> Dataflow:
    """Return the drawings of several graphs as one, side by side."""
    nodes: list[DataflowNode] = []
    edges: list[tuple[int, int]] = []
    for drawing in drawings:
        first = 1 + max((node.id for node in nodes), default=-1)
        nodes += [replace(node, id=first + node.id) for node in drawing.nodes]
        edges += [(first + source, first + target) for source, target in drawing.edges]
    return Dataflow(tuple(nodes), tuple(edges))


def _attributes(node: Node) -> dict[str, object]:
    plan = annotation_of(node).plan
    if plan is not None:
        return {
            "label": plan.site.label,
            "kind": plan.site.kind.value,
            "target": plan.target.value,
            "macs": plan.site.macs,
            "site": plan.site.name,
        }
    kind = {"placeholder": "input", "output": "output"}.get(node.op, "other")
    label = node.name if node.op in ("placeholder", "output") else _operation(node)
    return {"label": label, "kind": kind, "target": "", "macs": 0, "site": ""}


def _elements(node: Node, batch: int) -> int | None:
    """Return how many elements the results of a node have for one image; None where no tensor is known."""
    shapes = [value.shape for value in tree_leaves(value_of(node)) if isinstance(value, Tensor)]
    return sum(math.prod(size or 1 for size in per_image(shape, batch)) for shape in shapes) if shapes else None


def _operation(node: Node) -> str:
    """Return the short name of a torch operation: ``relu`` for ``aten.relu_.default``."""
    parts = str(node.target).split(".")
    name = parts[1] if len(parts) > 2 else getattr(node.target, "__name__", str(node.target))
    return name.rstrip("_")
