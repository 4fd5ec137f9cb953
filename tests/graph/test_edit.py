from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from asim_fx.capture import capture
from asim_fx.graph.edit import aten, call_op
from asim_fx.graph.symbolic import extent, shape_of


class Adding(nn.Module):
    def forward(self, x: Tensor, matrix: Tensor) -> Tensor:
        return x + matrix[:1].sum()


@pytest.mark.parametrize(
    ("target", "shape"), [(aten.matmul.default, (8, 1)), (aten.linear.default, (1, 8)), (aten.linear.default, (3, 8))]
)
def test_a_new_call_keeps_the_batch_symbolic(target: object, shape: tuple[int, int]) -> None:
    graph = capture(Adding(), (torch.zeros(2, 5, 8), torch.zeros(shape))).graph_module.graph
    first, second = graph.find_nodes(op="placeholder")
    end = next(node for node in graph.nodes if node.op == "output")
    with graph.inserting_before(end):
        node = call_op(graph, target, (first, second), like=end)
    size = extent(shape_of(node)[0])
    assert size is not None
    assert size.batched
