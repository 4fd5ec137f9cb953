"""Run passes on a captured model and check both what became of the graph and that it still computes the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Interpreter, Node
from torch.utils import _pytree as pytree

from asim_fx.capture import capture
from asim_fx.graph.macs import eager_reference
from asim_fx.ir import OpSite, iter_sites
from asim_fx.passes import ANALYSIS_PIPELINE
from asim_fx.pipeline import GraphPass, PassContext
from asim_fx.spec.schema import HardwareSpec, Macro

SPEC = HardwareSpec(version=1, name="test", macros={"m": Macro()})


def make_context(**changes: Any) -> PassContext:
    return PassContext(spec=SPEC, **changes)


def captured(model: nn.Module, *inputs: Tensor) -> GraphModule:
    return capture(model, inputs).graph_module


def apply(graph_module: GraphModule, passes: Sequence[GraphPass], context: PassContext | None = None) -> PassContext:
    """Run passes without the pipeline's check of facts, so that one can be tested alone."""
    context = context or make_context()
    for step in passes:
        step(graph_module, context)
        graph_module.graph.lint()
        graph_module.recompile()
    return context


def analyse(graph_module: GraphModule, **changes: Any) -> tuple[list[OpSite], PassContext]:
    """Run all passes that depend on the model alone and return the sites."""
    context = apply(graph_module, ANALYSIS_PIPELINE, make_context(**changes))
    return [site for _, site in iter_sites(graph_module.graph)], context


def count_ops(graph_module: GraphModule) -> Counter[str]:
    """Count calls by the name of the operation, without its overload."""
    calls = [node for node in graph_module.graph.nodes if node.op == "call_function"]
    return Counter(getattr(node.target, "overloadpacket", node.target).__name__ for node in calls)


def check_passes(
    model: nn.Module,
    inputs: tuple[Tensor, ...],
    passes: Sequence[GraphPass],
    *,
    before: Mapping[str, int],
    after: Mapping[str, int],
    tolerance: float = 1e-5,
    context: PassContext | None = None,
) -> tuple[GraphModule, PassContext]:
    """Check how often operations occur before and after, and that results at batch 2 and 3 stay the model's own."""
    graph_module = captured(model, *inputs)
    counts = count_ops(graph_module)
    assert {name: counts[name] for name in before} == dict(before)
    context = apply(graph_module, passes, context)
    counts = count_ops(graph_module)
    assert {name: counts[name] for name in after} == dict(after)
    check_outputs_equal(model, graph_module, inputs, tolerance=tolerance)
    return graph_module, context


def check_outputs_equal(
    model: nn.Module, graph_module: GraphModule, inputs: tuple[Tensor, ...], *, tolerance: float = 1e-5
) -> None:
    model = model.eval()
    for batch in (2, 3):
        generator = torch.Generator().manual_seed(batch)
        drawn = [_with_batch(one, batch, generator) for one in inputs]
        with torch.no_grad(), eager_reference():
            expected, actual = pytree.tree_leaves(model(*drawn)), pytree.tree_leaves(graph_module(*drawn))
        assert len(expected) == len(actual)
        for one, other in zip(actual, expected, strict=True):
            assert one.shape == other.shape
            assert float((one - other).abs().max()) <= tolerance * float(other.abs().max())


def _with_batch(tensor: Tensor, batch: int, generator: torch.Generator) -> Tensor:
    shape = (batch, *tensor.shape[1:])
    if tensor.is_floating_point():
        return torch.randn(shape, generator=generator)
    return tensor[torch.zeros(batch, dtype=torch.int64)]


class Recorder(Interpreter):
    """Runs a graph and keeps a copy of every tensor that a node gives."""

    def __init__(self, graph_module: GraphModule) -> None:
        super().__init__(graph_module)
        self.values: dict[Node, Tensor] = {}

    def run_node(self, n: Node) -> Any:
        value = super().run_node(n)
        if isinstance(value, Tensor):
            self.values[n] = value.clone()
        return value


def record(graph_module: GraphModule, *inputs: Tensor) -> dict[Node, Tensor]:
    """Return what every node computes from these inputs."""
    recorder = Recorder(graph_module)
    with torch.no_grad():
        recorder.run(*(one.clone() for one in inputs))
    return recorder.values
