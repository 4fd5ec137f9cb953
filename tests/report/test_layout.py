from __future__ import annotations

import time
from itertools import combinations, pairwise

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asim_fx.report.layout import arrange, spread
from asim_fx.report.rows import Dataflow, DataflowNode
from tests.report.synthetic import resnet_like, vit_like


@pytest.mark.parametrize("report", [resnet_like(), vit_like()], ids=["resnet", "vit"])
def test_boxes_lie_apart_inside_the_drawing_and_below_their_sources(report):
    drawing = arrange(report.dataflow)
    for box in drawing.boxes:
        assert box.width / 2 <= box.x <= drawing.width - box.width / 2
        assert 0 <= box.y <= drawing.height - box.height
    for one, other in combinations(drawing.boxes, 2):
        beside = abs(one.x - other.x) >= (one.width + other.width) / 2
        assert beside or one.y + one.height <= other.y or other.y + other.height <= one.y
    top = {box.node.id: box.y for box in drawing.boxes}
    assert all(top[u] < top[v] for u, v in report.dataflow.edges)


def test_no_arrow_runs_through_a_box():
    drawing = arrange(resnet_like().dataflow)
    for segment in drawing.segments:
        if segment.start[0] != segment.end[0]:
            continue
        x, (low, high) = segment.start[0], (segment.start[1], segment.end[1])
        for box in drawing.boxes:
            inside = abs(x - box.x) < box.width / 2
            assert not (inside and low < box.y + box.height - 1 and high > box.y + 1)


def test_an_empty_dataflow_is_an_empty_drawing():
    assert arrange(Dataflow()).boxes == ()


def test_dense_connections_stay_affordable():
    layers = 60
    nodes = tuple(DataflowNode(i, f"conv{i}", "conv", "analog", 1, f"conv{i}") for i in range(layers))
    dense = Dataflow(nodes, tuple(combinations(range(layers), 2)))
    start = time.process_time()
    drawing = arrange(dense)
    assert time.process_time() - start < 10
    assert len(drawing.segments) < 4 * layers**2


@given(st.integers(1, 8), st.data())
def test_positions_keep_gaps_and_none_can_move_nearer(number, data):
    wanted = data.draw(st.lists(st.floats(-100, 100), min_size=number, max_size=number))
    weights = data.draw(st.lists(st.sampled_from((1.0, 10.0)), min_size=number, max_size=number))
    gaps = data.draw(st.lists(st.floats(0, 50), min_size=number - 1, max_size=number - 1))
    placed = spread(wanted, weights, gaps)
    assert all(b - a >= gap - 1e-6 for (a, b), gap in zip(pairwise(placed), gaps, strict=True))

    def cost(positions):
        return sum(w * (p - q) ** 2 for w, p, q in zip(weights, positions, wanted, strict=True))

    # The problem is convex: if no feasible small step of a run of neighbours lowers the cost, it is the optimum.
    for first in range(number):
        for last in range(first, number):
            for step in (-1e-3, 1e-3):
                moved = [p + step * (first <= i <= last) for i, p in enumerate(placed)]
                if all(b - a >= gap - 1e-9 for (a, b), gap in zip(pairwise(moved), gaps, strict=True)):
                    assert cost(moved) >= cost(placed) - 1e-9


def test_a_chain_is_straight():
    nodes = tuple(DataflowNode(i, "c", "conv", "analog", 1, "c") for i in range(5))
    drawing = arrange(Dataflow(nodes, tuple(pairwise(range(5)))))
    assert len({box.x for box in drawing.boxes}) == 1
    assert nx.DiGraph(pairwise(range(5))).number_of_edges() == len(drawing.segments)
