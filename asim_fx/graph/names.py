"""The qualified name of a site: the owner of its weight, or the module that makes the call and a role."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from torch.fx import Node

from asim_fx.graph.edit import aten, owner_of, packet_of
from asim_fx.graph.macs import RECURRENT_CELLS, RECURRENT_LAYERS
from asim_fx.ir import annotation_of

_FOLDED = re.compile(r"_folded(_\d+)?$")
_PARAMETRIZED = re.compile(r"(^|\.)parametrizations\.(\w+)\..*$")
"""``fc.parametrizations.weight.original0``: what torch computes ``fc.weight`` from."""
_SUFFIX = re.compile(r"(^|[._])weight$")


def name_sites(nodes: Sequence[Node], dynamic: frozenset[Node], prefix: str) -> dict[Node, tuple[str, str]]:
    """Return for each node its site's name and the module that makes the call, both qualified.

    Functional products of one module are counted in graph order (``attn.matmul_0``, ``attn.matmul_1``), from 0 at each
    call of that module, so that a repeated module repeats its names. Products of attention are ``attn.qk`` and
    ``attn.av``; ``attn.qk_product`` where a layer of the model that is a site itself is called ``attn.qk``.
    """
    names = {}
    layers = {node: _from_weight(node, dynamic) for node in nodes}
    counts: dict[tuple[str, int, str], int] = defaultdict(int)
    for node in nodes:
        owner, call = owner_of(node)
        name = layers[node]
        if name is None:
            word = annotation_of(node).role or _word(node)
            name = _joined(owner, word)
            if name in layers.values():
                name = f"{name}_product"
            if annotation_of(node).role is None and packet_of(node) not in RECURRENT_LAYERS | RECURRENT_CELLS:
                number = counts[owner, call, word]
                counts[owner, call, word] += 1
                name = f"{name}_{number}"
        names[node] = (_joined(prefix, name) or _word(node), _joined(prefix, owner))
    return names


def _joined(*parts: str) -> str:
    return ".".join(part for part in parts if part)


def _from_weight(node: Node, dynamic: frozenset[Node]) -> str | None:
    """Return the owner of the weight; the empty string where the weight is the model's own."""
    if packet_of(node) in RECURRENT_LAYERS | RECURRENT_CELLS:
        return owner_of(node)[0] or None
    positions = {aten.matmul: (1, 0), aten.bilinear: (2,)}.get(packet_of(node), (1,))
    for weight in (node.args[position] for position in positions):
        if isinstance(weight, Node) and weight not in dynamic:
            while weight.op != "get_attr" and weight.all_input_nodes:
                weight = weight.all_input_nodes[0]
            if weight.op == "get_attr" and not str(weight.target).endswith("folded_constant"):
                path = _PARAMETRIZED.sub(r"\1\2", _FOLDED.sub("", str(weight.target)))
                return _SUFFIX.sub("", path)
    return None


def _word(node: Node) -> str:
    packet = packet_of(node)
    name = str(getattr(packet, "__name__", packet))
    if name.startswith("conv"):
        return "conv"
    return {"linear": "linear", "matmul": "matmul"}.get(name, name)
