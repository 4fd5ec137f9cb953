"""The graph of a model with only what a drawing needs: its sites, and what stands between them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import networkx as nx

from asim_fx.report.rows import Dataflow, DataflowNode

Graph: TypeAlias = "nx.DiGraph[Any]"

OTHER = "other"
# Operations that only rearrange values. They are left out of a label, and of the drawing where nothing else
# is in a run.
# fmt: off
_QUIET = frozenset((
    "alias", "chunk", "clone", "contiguous", "detach", "dropout", "expand", "flatten", "getitem", "identity",
    "permute", "reshape", "select", "slice", "split", "squeeze", "to", "transpose", "unbind", "unflatten",
    "unsqueeze", "view",
))
# fmt: on
_LABEL_PARTS = 3


@dataclass(slots=True)
class _Run:
    """Non-site operations that become one box. The first member is the only way in."""

    members: list[Hashable] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    sizes: list[int | None] = field(default_factory=list)
    joins: bool = False

    def elements(self) -> int | None:
        """Return the elements of the result: those of the last operation that does more than rearrange values."""
        telling = [size for label, size in zip(self.labels, self.sizes, strict=True) if label not in _QUIET]
        return (telling or self.sizes)[-1]


def simplify(graph: Graph) -> Dataflow:
    """Contract the runs of operations between sites.

    An operation joins the run that all its operands come from, unless part of that run also goes elsewhere: what
    leaves a box has passed everything that the box names. One with operands from several runs or sites (add,
    cat) starts a run. So every branch and join between sites stays visible, and since a run is entered only at
    its first operation, contracting it makes no cycle. What no input reaches (parameters, constants), or what
    reaches no output (shape arithmetic), is left out, and so are runs that merely rearrange values.

    Args:
        graph: acyclic, edges in the direction of the data. Node attributes: ``label`` (site name or
            operation), ``kind`` (kind of the site, ``input``, ``output``, or ``other``), and, for a site,
            ``target``, ``macs`` and ``site`` (the name of its report row). ``elements``: of the result for one image.

    Returns:
        nodes in a topological order that keeps the order of ``graph`` where it can.
    """
    order = {node: number for number, node in enumerate(graph)}
    kept = _between_ends(graph)
    runs: dict[Hashable, _Run] = {}
    first: dict[Hashable, Hashable] = {}
    for node in nx.lexicographical_topological_sort(kept, key=order.__getitem__):
        if kept.nodes[node]["kind"] != OTHER:
            first[node] = node
            continue
        sources = {first[source] for source in kept.predecessors(node)}
        home = runs.get(next(iter(sources))) if len(sources) == 1 else None
        label = str(kept.nodes[node]["label"])
        if home is None or not (label in _QUIET or _ends_at(kept, home, node)):
            runs[node] = home = _Run(joins=len(sources) > 1)
        home.members.append(node)
        home.labels.append(label)
        home.sizes.append(kept.nodes[node].get("elements"))
        first[node] = home.members[0]
    contracted = _contract(kept, first)
    for head, run in runs.items():
        if not run.joins and all(label in _QUIET for label in run.labels):
            _bypass(contracted, head)
    return _values(contracted, runs, order)


def _ends_at(graph: Graph, run: _Run, node: Hashable) -> bool:
    """Return whether everything that leaves a run goes to ``node``."""
    inside = {*run.members, node}
    return all(user in inside for member in run.members for user in graph.successors(member))


def _between_ends(graph: Graph) -> Graph:
    """Return the part that data reaches and that matters to a site or to the result. Sizes are no data."""
    sizes = [node for node, label in graph.nodes(data="label") if str(label).startswith("sym_")]
    graph = graph.copy()
    graph.remove_nodes_from(sizes)
    ends = [node for node, data in graph.nodes(data=True) if data["kind"] != OTHER]
    reached, needed = set(ends), set(ends)
    for end in ends:
        if graph.nodes[end]["kind"] != "output":
            reached |= _closure(graph, end, reached, forward=True)
        if graph.nodes[end]["kind"] != "input":
            needed |= _closure(graph, end, needed, forward=False)
    return graph.subgraph(reached & needed).copy()


def _closure(graph: Graph, start: Hashable, seen: set[Hashable], *, forward: bool) -> set[Hashable]:
    """Return what follows ``start`` and is not in ``seen``, whose own followers are known."""
    found: set[Hashable] = set()
    waiting = [start]
    while waiting:
        node = waiting.pop()
        for other in graph.successors(node) if forward else graph.predecessors(node):
            if other not in seen and other not in found:
                found.add(other)
                waiting.append(other)
    return found


def _contract(graph: Graph, first: dict[Hashable, Hashable]) -> Graph:
    contracted: Graph = nx.DiGraph()
    contracted.add_nodes_from((node, graph.nodes[node]) for node in graph if first[node] == node)
    contracted.add_edges_from((first[u], first[v]) for u, v in graph.edges if first[u] != first[v])
    return contracted


def _bypass(graph: Graph, node: Hashable) -> None:
    graph.add_edges_from([(u, v) for u in graph.predecessors(node) for v in graph.successors(node)])
    graph.remove_node(node)


def _label(labels: Sequence[str]) -> str:
    telling = list(dict.fromkeys(label for label in labels if label not in _QUIET)) or [labels[-1]]
    more = f" +{len(telling) - _LABEL_PARTS}" if len(telling) > _LABEL_PARTS else ""
    return " · ".join(telling[:_LABEL_PARTS]) + more


def _values(graph: Graph, runs: dict[Hashable, _Run], order: dict[Hashable, int]) -> Dataflow:
    ids: dict[Hashable, int] = {}
    nodes = []
    for number, node in enumerate(nx.lexicographical_topological_sort(graph, key=order.__getitem__)):
        ids[node] = number
        data = graph.nodes[node]
        nodes.append(
            DataflowNode(
                id=number,
                label=_label(runs[node].labels) if node in runs else str(data["label"]),
                kind=str(data["kind"]),
                target=str(data.get("target", "")),
                macs=int(data.get("macs", 0)),
                site=str(data.get("site", "")),
                elements=graph.nodes[node].get("elements") if node not in runs else runs[node].elements(),
            )
        )
    return Dataflow(tuple(nodes), tuple(sorted((ids[u], ids[v]) for u, v in graph.edges)))
