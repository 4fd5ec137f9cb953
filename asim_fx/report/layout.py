"""Where the boxes and arrows of a dataflow drawing go: layers from top to bottom, few crossings.

The layered method of Sugiyama, Tagawa and Toda (1981): layers by longest path, an arrow that skips layers
gets a waypoint in each, layers are ordered by the mean position of their neighbours, and positions are a
least-squares fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import networkx as nx

from asim_fx.report.rows import Dataflow, DataflowNode

Point = tuple[float, float]
# A box is its id; a waypoint is (source id, layer), shared by all arrows of that source.
Vertex: TypeAlias = "int | tuple[int, int]"

SITE_WIDTH, SITE_HEIGHT = 216.0, 42.0
OTHER_HEIGHT, OTHER_CHARACTER = 22.0, 6.4
LAYER_GAP, SIDE_GAP, MARGIN = 26.0, 20.0, 16.0
_ORDER_SWEEPS, _PLACE_SWEEPS = 6, 10
_BOX_WEIGHT, _WAYPOINT_WEIGHT = 10.0, 1.0


@dataclass(frozen=True, slots=True)
class Box:
    """A placed node: the middle of its top edge, and its size."""

    node: DataflowNode
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of an arrow, from (x, y) down to (x, y); ``tip`` where it ends at a box."""

    start: Point
    end: Point
    tip: bool


@dataclass(frozen=True, slots=True)
class Drawing:
    """A dataflow with coordinates, in CSS pixels, origin at the top left."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    segments: tuple[Segment, ...]


def arrange(dataflow: Dataflow) -> Drawing:
    """Place the boxes of a dataflow from top to bottom. Deterministic; empty for an empty dataflow."""
    if not dataflow.nodes:
        return Drawing(0.0, 0.0, (), ())
    nodes = {node.id: node for node in dataflow.nodes}
    graph, layers = _layered(dataflow)
    _reduce_crossings(graph, layers)
    sizes = {vertex: _size(nodes.get(vertex)) if isinstance(vertex, int) else (0.0, 0.0) for vertex in graph}
    x = _columns(graph, layers, {vertex: size[0] for vertex, size in sizes.items()})
    left = min(x[v] - sizes[v][0] / 2 for v in x) - MARGIN
    right = max(x[v] + sizes[v][0] / 2 for v in x) + MARGIN
    top: dict[Vertex, float] = {}
    bottom: dict[Vertex, float] = {}
    y = MARGIN
    for layer in layers:
        height = max(sizes[vertex][1] for vertex in layer)
        for vertex in layer:
            # A waypoint crosses the whole layer, so that its arrow passes beside the boxes rather than
            # through them.
            own = sizes[vertex][1] if isinstance(vertex, int) else height
            top[vertex] = y + (height - own) / 2
            bottom[vertex] = top[vertex] + own
        y += height + LAYER_GAP
    boxes = tuple(Box(nodes[v], x[v] - left, top[v], *sizes[v]) for v in graph if isinstance(v, int))
    segments = [Segment((x[u] - left, bottom[u]), (x[v] - left, top[v]), isinstance(v, int)) for u, v in graph.edges]
    segments += [
        Segment((x[v] - left, top[v]), (x[v] - left, bottom[v]), tip=False)
        for v in graph
        if not isinstance(v, int) and bottom[v] > top[v]
    ]
    return Drawing(right - left, y - LAYER_GAP + MARGIN, boxes, tuple(segments))


def _size(node: DataflowNode | None) -> tuple[float, float]:
    if node is None:
        return 0.0, 0.0
    if node.site:
        return SITE_WIDTH, SITE_HEIGHT
    return max(44.0, min(SITE_WIDTH, OTHER_CHARACTER * len(node.label) + 20)), OTHER_HEIGHT


def _layered(dataflow: Dataflow) -> tuple[nx.DiGraph[Vertex], list[list[Vertex]]]:
    """Return the graph with waypoints, and its layers."""
    plain: nx.DiGraph[int] = nx.DiGraph()
    plain.add_nodes_from(node.id for node in dataflow.nodes)
    plain.add_edges_from(dataflow.edges)
    layers: list[list[Vertex]] = [list(layer) for layer in nx.topological_generations(plain)]
    depth = {vertex: number for number, layer in enumerate(layers) for vertex in layer if isinstance(vertex, int)}
    graph: nx.DiGraph[Vertex] = nx.DiGraph()
    graph.add_nodes_from(plain)
    for source, sink in plain.edges:
        chain: list[Vertex] = [
            source,
            *((source, layer) for layer in range(depth[source] + 1, depth[sink])),
            sink,
        ]
        for waypoint in chain[1:-1]:
            if waypoint not in graph:
                assert isinstance(waypoint, tuple)
                layers[waypoint[1]].append(waypoint)
        graph.add_edges_from(pairwise(chain))
    return graph, layers


def _reduce_crossings(graph: nx.DiGraph[Vertex], layers: list[list[Vertex]]) -> None:
    """Order each layer by the mean position of its neighbours, sweeping down and up."""
    place = {vertex: float(number) for layer in layers for number, vertex in enumerate(layer)}
    for sweep in range(_ORDER_SWEEPS):
        down = sweep % 2 == 0
        for layer in layers if down else reversed(layers):

            def mean(vertex: Vertex, down: bool = down) -> float:
                around = list(graph.predecessors(vertex) if down else graph.successors(vertex))
                return sum(place[other] for other in around) / len(around) if around else place[vertex]

            layer.sort(key=mean)
            place.update((vertex, float(number)) for number, vertex in enumerate(layer))


def _columns(
    graph: nx.DiGraph[Vertex], layers: Sequence[Sequence[Vertex]], width: dict[Vertex, float]
) -> dict[Vertex, float]:
    """Return the horizontal middle of every vertex: near its neighbours, and clear of its layer."""
    weight = {vertex: _BOX_WEIGHT if isinstance(vertex, int) else _WAYPOINT_WEIGHT for vertex in graph}
    x: dict[Vertex, float] = dict.fromkeys(graph, 0.0)
    for sweep in range(_PLACE_SWEEPS):
        down = sweep % 2 == 0
        for layer in layers if down else reversed(layers):
            wanted = []
            for vertex in layer:
                around = list(graph.predecessors(vertex) if down else graph.successors(vertex))
                total = sum(weight[other] for other in around)
                wanted.append(sum(weight[o] * x[o] for o in around) / total if around else x[vertex])
            gaps = [(width[u] + width[v]) / 2 + SIDE_GAP for u, v in pairwise(layer)]
            x.update(zip(layer, spread(wanted, [weight[v] for v in layer], gaps), strict=True))
    return x


def spread(wanted: Sequence[float], weights: Sequence[float], gaps: Sequence[float]) -> list[float]:
    """Return the positions nearest to those wanted, in weighted least squares, that keep the gaps.

    Isotonic regression of the positions less the gaps so far, by pooling neighbours that violate the order.

    Args:
        wanted: one position each, in order.
        weights: how much each matters, > 0.
        gaps: least distance from each to the next; one fewer.
    """
    offsets = [0.0]
    for gap in gaps:
        offsets.append(offsets[-1] + gap)
    pools: list[tuple[float, float, int]] = []
    for position, offset, weight in zip(wanted, offsets, weights, strict=False):
        pool = (position - offset, weight, 1)
        while pools and pools[-1][0] > pool[0]:
            mean, before, members = pools.pop()
            together = before + pool[1]
            pool = ((mean * before + pool[0] * pool[1]) / together, together, members + pool[2])
        pools.append(pool)
    means = [mean for mean, _, members in pools for _ in range(members)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=False)]
