from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asim_fx.passes.canonicalize_matmuls import canonicalize_matmuls

from .helper import check_passes

A = torch.zeros(2, 3, 4)
B = torch.zeros(2, 4, 5)


class Call(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.function = function
        self.weight = nn.Parameter(torch.randn(6, 4))
        self.bias = nn.Parameter(torch.randn(6))

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.function(self, *inputs)


def einsum(equation: str, *order: int):
    return lambda m, *inputs: torch.einsum(equation, *(inputs[i] for i in order or range(len(inputs))))


CASES = {
    "bmm": (lambda m, a, b: torch.bmm(a, b), (A, B), {"matmul": 1, "bmm": 0}),
    "baddbmm": (lambda m, a, b: torch.baddbmm(a[..., :1], a, b), (A, B), {"matmul": 1, "add": 1}),
    "scaled baddbmm": (
        lambda m, a, b: torch.baddbmm(a[..., :1], a, b, beta=2, alpha=3),
        (A, B),
        {"matmul": 1, "mul": 2},
    ),
    "baddbmm without bias": (lambda m, a, b: torch.baddbmm(a[..., :1], a, b, beta=0), (A, B), {"matmul": 1, "add": 0}),
    "mm": (lambda m, a, b: torch.mm(a[:, 0], b[0]), (A, B), {"matmul": 1, "mm": 0}),
    "addmm of a weight": (
        lambda m, a, b: torch.addmm(m.bias, a[:, 0], m.weight.t()),
        (A, B),
        {"linear": 1, "addmm": 0},
    ),
    "x @ W.T": (lambda m, a, b: a @ m.weight.T, (A, B), {"linear": 1, "matmul": 0}),
    "W @ x": (lambda m, a, b: m.weight @ b, (A, B), {"linear": 0, "matmul": 1}),
    "vector": (lambda m, a, b: a @ m.weight[0], (A, B), {"matmul": 1, "linear": 0}),
    "computed weight": (
        lambda m, a, b: F.linear(a[:, 0], b[0].T, m.bias[:5]),
        (A, B),
        {"linear": 0, "matmul": 1, "add": 1},
    ),
    "attention": (einsum("bnd,bdm->bnm"), (A, B), {"matmul": 1, "einsum": 0}),
    "ellipsis": (einsum("...nd,...dm->...mn"), (A, B), {"matmul": 1, "einsum": 0}),
    "swapped": (einsum("bdm,bnd->bnm", 1, 0), (A, B), {"matmul": 1, "einsum": 0}),
    "lone labels": (einsum("bnd,bdm->bm"), (A, B), {"matmul": 1, "sum": 1, "einsum": 0}),
    "no rows": (einsum("bd,bdm->bm"), (A[:, 0], B), {"matmul": 1, "einsum": 0}),
    "two contracted": (einsum("bndk,bdkm->bnm"), (torch.zeros(2, 3, 4, 5), torch.zeros(2, 4, 5, 6)), {"matmul": 1}),
    "weight": (
        lambda m, a, b: torch.einsum("bnd,kd->bnk", a, m.weight),
        (A, B),
        {"linear": 1, "matmul": 0, "einsum": 0},
    ),
    "weight first": (
        lambda m, a, b: torch.einsum("kd,bnd->bnk", m.weight, a),
        (A, B),
        {"linear": 1, "matmul": 0, "einsum": 0},
    ),
    "weight of heads first": (
        lambda m, a, b: torch.einsum("dhk,bnd->bhnk", m.weight.reshape(4, 2, 3), a),
        (A, B),
        {"matmul": 1, "einsum": 0},
    ),
    "weight of one row": (lambda m, a, b: F.linear(a, m.weight[0], m.bias[0]), (A, B), {"linear": 1, "add": 1}),
    "computed weight of one row": (lambda m, a, b: F.linear(a, b[0, :, 0]), (A, B), {"linear": 0, "matmul": 1}),
    "batch among rows": (
        lambda m, a, b: torch.einsum("bnd,nd->bn", a, m.weight[:3]),
        (A, B),
        {"matmul": 1, "einsum": 0},
    ),
    "elementwise einsum": (einsum("bnd,bnd->bnd"), (A, A), {"matmul": 0, "einsum": 1}),
    "three operands": (einsum("bnd,bdm,bm->bn"), (A, B, B[:, 0]), {"matmul": 0, "einsum": 1}),
}


@pytest.mark.parametrize("name", CASES)
def test_products_become_canonical(name: str) -> None:
    function, inputs, after = CASES[name]
    check_passes(Call(function), inputs, [canonicalize_matmuls], before={}, after=after)
