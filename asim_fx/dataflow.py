"""Turn a planned graph into the plain networkx graph that the report draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import networkx as nx
from torch.fx import Graph, Node

from asim_fx.ir import annotation_of
from asim_fx.report.dataflow import simplify
from asim_fx.report.rows import Dataflow, DataflowNode


def trace_dataflow(graph: Graph) -> Dataflow:
    """Return sites and what lies between them as boxes and arrows.

    Args:
        graph: with a plan for every site; parameters and constants are left out.
    """
    drawing: nx.DiGraph[int] = nx.DiGraph()
    numbers: dict[Node, int] = {}
    for number, node in enumerate(graph.nodes):
        if node.op == "get_attr":
            continue
        numbers[node] = number
        drawing.add_node(number, **_attributes(node))
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


def _operation(node: Node) -> str:
    """Return the short name of a torch operation: ``relu`` for ``aten.relu_.default``."""
    parts = str(node.target).split(".")
    name = parts[1] if len(parts) > 2 else getattr(node.target, "__name__", str(node.target))
    return name.rstrip("_")
