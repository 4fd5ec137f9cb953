"""Find every call that is a matrix-vector multiply, name it, and measure it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from torch.fx import Graph, GraphModule, Node

from asim_fx.graph.edit import aten, dynamic_nodes, packet_of
from asim_fx.graph.macs import node_macs
from asim_fx.graph.measure import measure_site
from asim_fx.graph.names import name_sites
from asim_fx.ir import OpKind, OpSite, annotate, iter_sites
from asim_fx.pipeline import Fact, PassContext, graph_pass

FIRST_CONV = "@first_conv"
CLASSIFIER = "@classifier"

_VIEWS = frozenset(
    {
        aten.view,
        aten.reshape,
        aten.flatten,
        aten.unflatten,
        aten.squeeze,
        aten.unsqueeze,
        aten.transpose,
        aten.permute,
        aten.contiguous,
        aten.clone,
        aten.alias,
        aten.dropout,
        aten.to,
        aten.div,
        aten.mean,
        aten.add,
        aten.mul,
        aten.stack,
        aten.softmax,
        aten.log_softmax,
        aten.sigmoid,
    }
)
"""What may stand between a classifier and the output."""


@graph_pass(requires=[Fact.FOLDED, Fact.ROLES], provides=[Fact.SITES])
def find_sites(graph_module: GraphModule, context: PassContext) -> bool:
    """Annotate every convolution, linear and matrix product with an OpSite.

    Example:
        ``linear(x, blocks.0.mlp.fc1.weight, ...)`` becomes the site ``blocks.0.mlp.fc1`` (kind linear, k 192, n 768,
        197 vectors); the products of its attention become ``blocks.0.attn.qk`` and ``blocks.0.attn.av``.

    A form that cannot be lowered (projected recurrent layers, a batch inside the stored matrix) is a site too, with
    ``unsupported`` saying why.
    """
    graph = graph_module.graph
    dynamic = dynamic_nodes(graph)
    found = [node for node in graph.nodes if node.op == "call_function" and node_macs(node) > 0]
    names = name_sites(found, dynamic, context.prefix)
    calls: dict[str, int] = defaultdict(int)
    for node in found:
        name, module = names[node]
        site = measure_site(node, name, module, dynamic, context.batch)
        annotate(node, site=replace(site, call=calls[name]))
        calls[name] += 1
    _give_aliases(graph, context)
    return bool(found)


def _give_aliases(graph: Graph, context: PassContext) -> None:
    sites = list(iter_sites(graph))
    convolutions = [site.name for _, site in sites if site.kind is OpKind.CONV]
    # A part of a model has a first convolution too, which is not the model's.
    fallbacks = {} if context.prefix else {FIRST_CONV: convolutions[:1], CLASSIFIER: _classifiers(graph)}
    given = {alias: _known(names, sites, context.prefix) for alias, names in context.aliases.items()}
    selected = {alias: given.get(alias) or names for alias, names in fallbacks.items()}
    selected |= {alias: names for alias, names in given.items() if alias not in fallbacks}
    for node, site in sites:
        aliases = frozenset(alias for alias, names in selected.items() if site.name in names)
        if aliases:
            annotate(node, site=replace(site, aliases=aliases))


def _known(names: Iterable[str], sites: Iterable[tuple[Node, OpSite]], prefix: str) -> list[str]:
    known = {site.name for _, site in sites}
    candidates = [candidate for name in names for candidate in (name, f"{prefix}.{name}")]
    return [candidate for candidate in candidates if candidate in known]


def _classifiers(graph: Graph) -> list[str]:
    """Return the linears, or else convolutions, whose result reaches an output through views and averages alone."""
    sites = {node: site for node, site in iter_sites(graph) if site.kind in (OpKind.LINEAR, OpKind.CONV)}
    output = next(node for node in graph.nodes if node.op == "output")
    found: dict[str, None] = {}
    pending, seen = list(output.all_input_nodes), set()
    while pending:
        node = pending.pop()
        if node in seen:
            continue
        seen.add(node)
        if node in sites:
            found[sites[node].name] = None
        elif packet_of(node) in _VIEWS:
            pending += node.all_input_nodes
    linear = [site.name for site in sites.values() if site.kind is OpKind.LINEAR and site.name in found]
    return linear or [site.name for site in sites.values() if site.name in found]
