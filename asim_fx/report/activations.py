"""The values between the boxes of the dataflow, with the bytes that each takes."""

from __future__ import annotations

from collections.abc import Sequence

from asim_fx.ir import SitePlan, Target
from asim_fx.mapping.liveness import Operation
from asim_fx.report.rows import Dataflow

FLOAT_BITS = 32


def operations_of(flow: Dataflow, plans: Sequence[SitePlan]) -> list[Operation]:
    """Return the boxes of the dataflow as operations, in its order.

    A value is kept in as many bits as the sites take that it reaches next (the widest of them), 32 where none does.
    Results of the model leave as they come.
    """
    bits_of = {plan.site.label: _bits(plan) for plan in plans}
    place = {node.id: number for number, node in enumerate(flow.nodes)}
    sources: list[list[int]] = [[] for _ in flow.nodes]
    for source, target in flow.edges:
        sources[place[target]].append(place[source])
    needed = [0] * len(flow.nodes)
    for number in range(len(flow.nodes) - 1, -1, -1):
        node = flow.nodes[number]
        taken = needed[number] if _streams(node.kind) else bits_of.get(node.label, FLOAT_BITS)
        for source in sources[number]:
            needed[source] = max(needed[source], taken)
    return [
        Operation(
            label=node.label,
            sources=tuple(sorted(set(sources[number]))),
            size=_bytes(0 if node.kind == "output" else node.elements, needed[number] or FLOAT_BITS),
            streams=_streams(node.kind),
        )
        for number, node in enumerate(flow.nodes)
    ]


def _streams(kind: str) -> bool:
    return kind in ("other", "output")


def _bits(plan: SitePlan) -> int:
    """Return the bits of the activations that a site takes."""
    if plan.target is Target.FLOAT:
        return FLOAT_BITS
    stored = 0 if plan.site.static_weight else plan.settings.weight_bits
    return max(plan.settings.input_bits, stored)


def _bytes(elements: int | None, bits: int) -> int | None:
    return None if elements is None else -(-elements * bits // 8)
