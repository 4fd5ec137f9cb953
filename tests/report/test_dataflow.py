from __future__ import annotations

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asim_fx.report.dataflow import simplify
from tests.report.synthetic import resnet_like, vit_like


def graph(nodes, edges):
    made = nx.DiGraph()
    for name, kind in nodes.items():
        site = name if kind in ("conv", "linear", "qk", "av") else ""
        made.add_node(name, label=name.rstrip("0123456789"), kind=kind, site=site)
    made.add_edges_from(edges)
    return made


def drawn(flow):
    """Return the edges as (label or site, label or site)."""
    names = {node.id: node.site or node.label for node in flow.nodes}
    return {(names[u], names[v]) for u, v in flow.edges}


def test_a_run_between_sites_is_one_box():
    nodes = {"x": "input", "a": "conv", "relu": "other", "pool": "other", "b": "conv", "y": "output"}
    flow = simplify(graph(nodes, [("x", "a"), ("a", "relu"), ("relu", "pool"), ("pool", "b"), ("b", "y")]))
    assert drawn(flow) == {("x", "a"), ("a", "relu · pool"), ("relu · pool", "b"), ("b", "y")}


def test_a_residual_keeps_its_branch_and_its_join():
    nodes = {"x": "input", "norm": "other", "a": "conv", "add": "other", "relu": "other", "y": "output"}
    edges = [("x", "norm"), ("norm", "a"), ("a", "add"), ("norm", "add"), ("add", "relu"), ("relu", "y")]
    flow = simplify(graph(nodes, edges))
    join = "add · relu"
    assert drawn(flow) == {("x", "norm"), ("norm", "a"), ("a", join), ("norm", join), (join, "y")}


def test_a_branch_leaves_before_what_it_has_not_passed():
    nodes = {"x": "input", "tanh": "other", "norm": "other", "a": "conv", "add": "other", "y": "output"}
    edges = [("x", "tanh"), ("tanh", "norm"), ("norm", "a"), ("a", "add"), ("tanh", "add"), ("add", "y")]
    assert ("tanh", "add") in drawn(simplify(graph(nodes, edges)))


def test_rearranging_leaves_no_box():
    nodes = {"x": "input", "q": "linear", "view": "other", "unbind": "other", "getitem1": "other"}
    nodes |= {"getitem2": "other", "s": "qk", "y": "output"}
    edges = [("x", "q"), ("q", "view"), ("view", "unbind"), ("unbind", "getitem1"), ("unbind", "getitem2")]
    edges += [("getitem1", "s"), ("getitem2", "s"), ("s", "y")]
    assert drawn(simplify(graph(nodes, edges))) == {("x", "q"), ("q", "s"), ("s", "y")}


def test_constants_and_sizes_are_left_out():
    nodes = {"x": "input", "a": "conv", "sym_size": "other", "view": "other", "weight": "other", "mul": "other"}
    nodes |= {"check": "other", "y": "output"}
    edges = [("x", "a"), ("a", "sym_size"), ("a", "view"), ("sym_size", "view"), ("view", "mul")]
    edges += [("weight", "mul"), ("mul", "y"), ("a", "check")]
    assert drawn(simplify(graph(nodes, edges))) == {("x", "a"), ("a", "mul"), ("mul", "y")}


@st.composite
def dags(draw):
    kinds = draw(st.lists(st.sampled_from(("other", "other", "conv")), min_size=1, max_size=14))
    names = ["relu", "view", "add"]
    nodes = {0: ("x", "input")}
    nodes |= {
        i: (draw(st.sampled_from(names)) if kind == "other" else f"s{i}", kind) for i, kind in enumerate(kinds, 1)
    }
    last = len(nodes)
    nodes[last] = ("y", "output")
    made = nx.DiGraph()
    for number, (label, kind) in nodes.items():
        made.add_node(number, label=label, kind=kind, site=label if kind == "conv" else "")
    for number in range(1, last + 1):
        made.add_edges_from(
            (source, number) for source in draw(st.sets(st.integers(0, number - 1), min_size=1, max_size=3))
        )
    return made


def site_paths(made, name):
    """Return which ends (sites, input, output) lead to which."""
    ends = [node for node, data in made.nodes(data=True) if data["kind"] != "other"]
    found = set()
    for end in ends:
        found |= {(name(end), name(other)) for other in nx.descendants(made, end) if other in ends}
    return found


@given(dags())
def test_every_site_stays_and_leads_where_it_did(made):
    flow = simplify(made)
    back = nx.DiGraph()
    for node in flow.nodes:
        back.add_node(node.id, kind=node.kind, name=node.label)
    back.add_edges_from(flow.edges)
    assert nx.is_directed_acyclic_graph(back)
    before = site_paths(made, lambda node: made.nodes[node]["label"])
    assert site_paths(back, lambda node: back.nodes[node]["name"]) == before


@pytest.mark.parametrize("report", [resnet_like(), vit_like()], ids=["resnet", "vit"])
def test_every_row_of_a_model_has_a_box(report):
    boxes = [node.site for node in report.dataflow.nodes if node.site]
    assert sorted(boxes) == sorted(row.name for row in report.rows)
