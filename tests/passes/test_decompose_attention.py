from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asim_fx.ir import annotation_of
from asim_fx.passes.decompose_attention import decompose_attention

from .helper import check_passes

Q, K, V = torch.zeros(2, 4, 5, 8), torch.zeros(2, 4, 6, 8), torch.zeros(2, 4, 6, 3)


class Attention(nn.Module):
    def __init__(self, mask: Tensor | None = None, **options: object) -> None:
        super().__init__()
        self.mask = mask
        self.options = options

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(q, k, v, self.mask, **self.options)


KEEP = torch.rand(5, 6, generator=torch.Generator().manual_seed(0)) > 0.4
EMPTY_ROW = KEEP & (torch.arange(5) != 2)[:, None]

CASES = {
    "plain": (Attention(), (Q, K, V)),
    "boolean mask": (Attention(KEEP), (Q, K, V)),
    "boolean mask with an empty row": (Attention(EMPTY_ROW), (Q, K, V)),
    "float mask": (Attention(torch.randn(5, 6, generator=torch.Generator().manual_seed(1))), (Q, K, V)),
    "causal": (Attention(is_causal=True), (Q, K, V)),
    "scale": (Attention(scale=0.7), (Q, K, V)),
    "scale of zero": (Attention(scale=0.0), (Q, K, V)),
    "grouped queries": (Attention(enable_gqa=True), (Q, K[:, :2], V[:, :2])),
}


@pytest.mark.parametrize("name", CASES)
def test_it_becomes_two_products(name: str) -> None:
    model, inputs = CASES[name]
    graph_module, _ = check_passes(
        model,
        inputs,
        [decompose_attention],
        before={"scaled_dot_product_attention": 1, "matmul": 0},
        after={"scaled_dot_product_attention": 0, "matmul": 2},
    )
    roles = [annotation_of(node).role for node in graph_module.graph.nodes]
    assert [role for role in roles if role] == ["qk", "av"]


def test_three_dimensions() -> None:
    check_passes(Attention(), (Q[:, 0], K[:, 0], V[:, 0]), [decompose_attention], before={}, after={"matmul": 2})


def test_multi_head_attention() -> None:
    class Heads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.attention(x, x, x, need_weights=False)[0]

    check_passes(
        Heads(), (torch.zeros(2, 5, 8),), [decompose_attention], before={"linear": 2}, after={"matmul": 2, "linear": 2}
    )
