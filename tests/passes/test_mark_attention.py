from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from asim_fx.ir import annotation_of
from asim_fx.passes.canonicalize_matmuls import canonicalize_matmuls
from asim_fx.passes.mark_attention import mark_attention

from .helper import check_passes

Q, K, V = torch.zeros(2, 4, 5, 8), torch.zeros(2, 4, 6, 8), torch.zeros(2, 4, 6, 3)


class Written(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.function = function
        self.bias = nn.Parameter(torch.randn(4, 5, 6))
        self.table = nn.Parameter(torch.randn(8, 6))
        self.mix = nn.Linear(4, 4)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return self.function(self, q, k, v)


def plain(m, q, k, v):
    return ((q * 0.3) @ k.transpose(-2, -1)).softmax(-1) @ v


def biased(m, q, k, v):
    return ((q @ k.mT) * 0.3 + m.bias).view(-1, 4, 5, 6).softmax(-1).to(q.dtype) @ v


def in_place(m, q, k, v):
    scores = q @ k.mT
    scores += q @ m.table
    return scores.softmax(-1) @ v


def talking_heads(m, q, k, v):
    scores = m.mix((q @ k.mT).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    return m.mix(scores.softmax(-1).permute(0, 2, 3, 1)).permute(0, 3, 1, 2) @ v


def einsum(m, q, k, v):
    return torch.einsum("bhij,bhjd->bhid", torch.einsum("bhid,bhjd->bhij", q, k).softmax(-1), v)


def scores_second(m, q, k, v):
    return v.mT @ (q @ k.mT).softmax(-1).mT


ROLES = {
    plain: ["qk", "av"],
    biased: ["qk", "av"],
    in_place: ["qk", None, "av"],
    talking_heads: ["qk", "av"],
    einsum: ["qk", "av"],
    scores_second: ["qk", "av"],
    lambda m, q, k, v: (q @ k.mT).softmax(-1): [None],
    lambda m, q, k, v: (q @ k.mT) @ v: [None, None],
    lambda m, q, k, v: (q @ m.table).softmax(-1) @ v: [None, None],
}


@pytest.mark.parametrize("function", ROLES)
def test_roles(function) -> None:
    graph_module, _ = check_passes(
        Written(function),
        (Q, K, V),
        [canonicalize_matmuls, mark_attention],
        before={},
        after={"matmul": len(ROLES[function])},
    )
    products = [node for node in graph_module.graph.nodes if "matmul" in str(node.target)]
    assert [annotation_of(node).role for node in products] == ROLES[function]


def test_scores_become_the_first_operand() -> None:
    graph_module, _ = check_passes(Written(scores_second), (Q, K, V), [mark_attention], before={}, after={"matmul": 2})
    product = next(node for node in graph_module.graph.nodes if annotation_of(node).role == "av")
    assert product.meta["val"].shape[-2:] == (5, 3)
