from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asim_fx.capture import capture
from asim_fx.graph.macs import count_eager_macs, einsum_labels, graph_macs, run_and_count

X = torch.zeros(2, 6, 8, 8)


class Call(nn.Module):
    """A module around one expression of its inputs."""

    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: Tensor) -> Tensor:
        return self.function(*args)


class Pair(nn.Module):
    """A module of two inputs, given the same one twice."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x, x)


BY_HAND = {
    "conv2d": (nn.Conv2d(6, 4, 3, padding=1), (X,), 2 * 4 * 64 * 6 * 9),
    "padding counts": (nn.Conv2d(6, 4, 3, padding=2), (X,), 2 * 4 * 100 * 6 * 9),
    "grouped": (nn.Conv2d(6, 4, 3, groups=2), (X,), 2 * 4 * 36 * 3 * 9),
    "depthwise": (nn.Conv2d(6, 6, 3, groups=6), (X,), 2 * 6 * 36 * 9),
    "conv1d": (nn.Conv1d(3, 5, 3, stride=2), (torch.zeros(2, 3, 9),), 2 * 5 * 4 * 3 * 3),
    "conv3d": (nn.Conv3d(3, 5, (1, 2, 3)), (torch.zeros(2, 3, 4, 4, 4),), 2 * 5 * 4 * 3 * 2 * 3 * 6),
    "transposed": (nn.ConvTranspose2d(6, 4, 3, stride=2, groups=2), (X,), 2 * 64 * 6 * 2 * 9),
    "linear": (nn.Linear(8, 5), (X,), 2 * 6 * 8 * 8 * 5),
    "matmul": (Call(lambda x: x @ x), (X,), 2 * 6 * 8 * 8 * 8),
    "matrix times vector": (Call(lambda x: x @ x[0, 0, 0]), (X,), 2 * 6 * 8 * 8),
    "baddbmm": (Call(lambda x: torch.baddbmm(x[:, 0], x[:, 1], x[:, 2])), (X,), 2 * 8 * 8 * 8),
    "einsum": (Call(lambda x: torch.einsum("bchw,bkhw->bck", x, x)), (X,), 2 * 6 * 6 * 64),
    "einsum sums lone labels first": (Call(lambda x: torch.einsum("bchw,bkh->bck", x, x[..., 0])), (X,), 2 * 6 * 6 * 8),
    "elementwise einsum": (Call(lambda x: torch.einsum("bchw,bc->bchw", x, x[..., 0, 0])), (X,), 0),
    "bilinear": (nn.Sequential(Pair(nn.Bilinear(8, 8, 5))), (X,), 2 * 6 * 8 * 8 * 8 * 5),
    "sdpa": (Call(lambda x: F.scaled_dot_product_attention(x, x, x)), (X,), 2 * 6 * 2 * 8 * 8 * 8),
    "lstm without bias": (nn.LSTM(8, 5, bias=False, batch_first=True), (X[:, 0],), 2 * 8 * 20 * (8 + 5)),
    "lstm": (nn.LSTM(8, 5, 2, bidirectional=True, batch_first=True), (X[:, 0],), 2 * 8 * 2 * 20 * (8 + 5 + 10 + 5)),
    "gru": (nn.GRU(8, 5, batch_first=True), (X[:, 0],), 2 * 8 * 15 * (8 + 5)),
    "multi-head attention": (
        nn.TransformerEncoderLayer(8, 2, 16, batch_first=True),
        (X[:, 0],),
        2 * 8 * (8 * 24 + 8 * 8 + 2 * 8 * 16) + 2 * 2 * (8 * 8 * 4) * 2,
    ),
    "nothing that multiplies": (nn.Sequential(nn.ReLU(), nn.MaxPool2d(2)), (X,), 0),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_both_counts_are_what_a_hand_computes(name: str) -> None:
    model, args, expected = BY_HAND[name]
    assert count_eager_macs(model.eval(), args) == expected
    assert graph_macs(capture(model, args, verify=False).graph_module) == expected


def test_counting_leaves_the_fast_path_setting_alone() -> None:
    count_eager_macs(nn.Linear(2, 2), (torch.zeros(1, 2),))
    assert torch.backends.mha.get_fastpath_enabled()


def test_products_inside_a_region_are_counted() -> None:
    class Region(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            with torch.autocast("cpu", enabled=False):
                return x @ x

    graph = capture(Region(), (X,), verify=False).graph_module
    assert graph_macs(graph) == 2 * 6 * 8 * 8 * 8


@pytest.mark.parametrize(
    ("equation", "ranks", "expected"),
    [
        ("ab,bc", [2, 2], ["ab", "bc", "ac"]),
        ("...ij,...jk->...ik", [4, 3], ["67ij", "7jk", "67ik"]),
        ("aa,ab->b", [2, 2], None),
    ],
)
def test_einsum_labels(equation: str, ranks: list[int], expected: list[str] | None) -> None:
    assert einsum_labels(equation, ranks) == expected


class Condition(nn.Module):
    """Squares a matrix, then by its sum multiplies it once more, twice more, or twice in a branch of a branch."""

    def __init__(self, *, nested: bool = False) -> None:
        super().__init__()
        self.twice = self.nested_twice if nested else self.plain_twice

    def plain_twice(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x @ x, x)

    def nested_twice(self, x: Tensor) -> Tensor:
        return torch.cond(x.mean() > 0, lambda x: x @ x, lambda x: x @ x @ x, (x,))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cond(x.sum() > 0, self.twice, lambda x: x @ x, (x @ x,))


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("sign", [1, -1])
def test_of_two_branches_the_larger_is_counted_whichever_runs(nested: bool, sign: int) -> None:
    x = torch.eye(4) * 2
    x[0, 1] = sign * 100.0
    model = Condition(nested=nested)
    assert count_eager_macs(model, (x,)) == 3 * 64
    program = torch.export.export(model, (x,))
    assert graph_macs(program.module()) == 3 * 64


def test_counting_a_branch_leaves_the_result_alone() -> None:
    x = torch.full((4, 4), 0.5)
    result, _ = run_and_count(Condition(), (x,))
    assert torch.equal(result, Condition()(x))
