"""Follow the samples of a batch through the graph, so that noise can be keyed by sample."""

from __future__ import annotations

import operator
from dataclasses import replace
from typing import Any

from torch import Tensor
from torch.fx import GraphModule, Node

from asim_fx.graph.edit import packet_of, storage_of, written_args
from asim_fx.graph.recurrence import RECURRENCE, recurrence_sizes
from asim_fx.graph.samples.math import pointwise, recurrent
from asim_fx.graph.samples.place import FREE, Place, Where, checked, constant_place, layout_of
from asim_fx.graph.samples.rules import RULES
from asim_fx.graph.symbolic import is_batched, shape_of
from asim_fx.ir import BatchLayout, OpKind, OpSite, annotate, annotation_of
from asim_fx.pipeline import Fact, PassContext, graph_pass


@graph_pass(requires=[Fact.SITES], provides=[Fact.LAYOUTS])
def track_samples(graph_module: GraphModule, context: PassContext) -> bool:
    """Annotate every node with its BatchLayout, and every site with those of its result and operands.

    Example:
        an input (B, 3, 224, 224) has stride 150528; windows (64 * B, 49, 96) made of (B, 56, 56, 96) have stride
        301056: the first 64 * 49 * 96 elements are those of sample 0.

    Placeholders carry the batch in dimension 0. Operations without a rule end the trail: layout None, which the report
    calls ``batch-dependent``.
    """
    places: dict[Node, Where] = {}
    for node in graph_module.graph.nodes:
        place = _place(node, places)
        _follow_writes(node, place, places)
        places[node] = place
        value = node.meta.get("val")
        if isinstance(value, Tensor):
            annotate(node, layout=layout_of(place, value.shape))
        site = annotation_of(node).site
        if site is not None:
            annotate(node, site=_with_layouts(node, site, place))
    return True


def _place(node: Node, places: dict[Node, Where]) -> Where:
    value = node.meta.get("val")
    if node.op == "get_attr":
        return FREE
    if node.op == "placeholder":
        if not isinstance(value, Tensor) or not is_batched(value.shape):
            return FREE
        return checked(Place(0), value.shape)
    if node.op != "call_function":
        return None
    sources = [places.get(source) for source in node.all_input_nodes if _is_tensor(source)]
    if all(source == FREE for source in sources):
        # Nothing that it reads depends on a sample, its own shape may: a class token expanded to the batch.
        return constant_place(value.shape) if isinstance(value, Tensor) else FREE
    if any(source is None for source in sources):
        return None
    if node.target is operator.getitem:
        source = node.all_input_nodes[0]
        if packet_of(source) is RECURRENCE and node.args[1] != 0:
            place = places[source]
            return Place(0, place.inner) if isinstance(place, Place) else None
        return None if RULES.get(packet_of(source)) is recurrent and node.args[1] != 0 else places[source]
    rule = RULES.get(packet_of(node), pointwise)
    place = rule(node, places)
    return checked(place, value.shape) if isinstance(value, Tensor) else place


def _is_tensor(node: Node) -> bool:
    value: Any = node.meta.get("val")
    return isinstance(value, (Tensor, list, tuple))


def _follow_writes(node: Node, place: Where, places: dict[Node, Where]) -> None:
    """A constant that samples are written into in place is no constant from there on."""
    for written in written_args(node):
        if places.get(written) == FREE and place != FREE:
            for member in [other for other in places if storage_of(other) == storage_of(written)]:
                places[member] = None
            places[written] = place


def _with_layouts(node: Node, site: OpSite, place: Where) -> OpSite:
    if packet_of(node) is RECURRENCE:
        return _with_step_layouts(node, site) if isinstance(place, Place) else site
    layouts = [annotation_of(operand).layout if isinstance(operand, Node) else None for operand in node.args[:2]]
    streamed, stored = reversed(layouts) if site.kind is OpKind.QK else layouts
    return replace(site, layout=annotation_of(node).layout, input_layout=streamed, weight_layout=stored)


def _with_step_layouts(node: Node, site: OpSite) -> OpSite:
    """A recurrence runs one step at a time: (rows, G) gates from (rows, H) states."""
    gates = node.args[3]
    assert isinstance(gates, Node)
    whole = annotation_of(gates).layout
    if whole is None:
        return site
    steps, width = recurrence_sizes(shape_of(gates))
    rows = whole.stride // width, whole.elements // (steps * width)
    return replace(
        site,
        layout=BatchLayout(rows[0] * width, rows[1] * width),
        input_layout=BatchLayout(rows[0] * site.k, rows[1] * site.k),
    )
