"""Which sites wait for which, from the dataflow."""

from __future__ import annotations

from collections.abc import Sequence

import networkx as nx

from asim_fx.report.rows import Dataflow


def waits_of(labels: Sequence[str], flow: Dataflow) -> list[tuple[int, ...]]:
    """Return for each site the numbers of those whose results reach it through no other of them.

    Graphs of a model that was captured in parts follow one another. Where there is no dataflow, so do all sites.

    Args:
        labels: of the sites, in graph order.
        flow: the dataflow, which may hold other sites too.
    """
    if not flow.nodes:
        return [(number - 1,) if number else () for number in range(len(labels))]
    numbers = {label: number for number, label in enumerate(labels)}
    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_nodes_from(node.id for node in flow.nodes)
    graph.add_edges_from(flow.edges)
    label_of = {node.id: node.label for node in flow.nodes if node.kind not in ("input", "output", "other")}
    waits: dict[int, set[int]] = {}
    reached: dict[int, set[int]] = {}
    before: set[int] = set()
    for part in sorted(nx.weakly_connected_components(graph), key=min):
        last: set[int] = set()
        for node in nx.topological_sort(graph.subgraph(part)):
            found = set().union(*(reached[source] for source in graph.predecessors(node))) or before
            number = numbers.get(label_of.get(node, ""))
            if number is not None:
                waits[number] = found
                last = (last - found) | {number}
                found = {number}
            reached[node] = found
        before = last or before
    return [tuple(sorted(one for one in waits.get(number, ()) if one < number)) for number in range(len(labels))]
