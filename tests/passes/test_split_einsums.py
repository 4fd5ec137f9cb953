"""split_einsums: einsums of many operands become pairs, with the same result and the same MACs."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from asim_fx.capture import capture
from asim_fx.passes import split_einsums

from .helper import analyse, captured, check_outputs_equal, check_passes

X = torch.zeros(2, 3, 5)


class Einsum(nn.Module):
    """An einsum of the input with constant operands of different sizes."""

    def __init__(self, equation: str, *shapes: tuple[int, ...]) -> None:
        super().__init__()
        self.equation = equation
        self.weights = nn.ParameterList([nn.Parameter(torch.randn(shape)) for shape in shapes])

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum(self.equation, x, *self.weights)


CASES = {
    "chain": Einsum("bij,jk,kl->bil", (5, 7), (7, 2)),
    "four": Einsum("bij,jk,kl,lm->bim", (5, 7), (7, 2), (2, 11)),
    "five": Einsum("bij,jk,kl,lm,mn->bin", (5, 7), (7, 2), (2, 11), (11, 3)),
    "ellipsis": Einsum("...j,jk,kl->...l", (5, 7), (7, 2)),
    "outer first": Einsum("bij,k,jk->bi", (7,), (5, 7)),
    "implicit": Einsum("bij,jk,kl", (5, 7), (7, 2)),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("optimised", [False, True])
def test_pairs_are_the_same_and_cost_the_same(name: str, optimised: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both with the path that opt_einsum finds, where it is installed, and without one."""
    monkeypatch.setattr(torch.backends.opt_einsum, "enabled", optimised and torch.backends.opt_einsum.is_available())
    model = CASES[name]
    found = capture(model, (X,))
    sites, context = analyse(found.graph_module)
    folded = sum(op.macs for op in context.log.folded)
    assert found.eager_macs == folded + 2 * sum(site.macs for site in sites)
    assert sites
    assert not any(site.unsupported for site in sites)
    check_outputs_equal(model, found.graph_module, (X,))


def test_two_operands_and_repeated_labels_stay() -> None:
    check_passes(Einsum("bij,jk->bik", (5, 7)), (X,), [split_einsums], before={"einsum": 1}, after={"einsum": 1})
    diagonal = Einsum("bij,kk,kj->bi", (7, 7), (7, 5))
    check_passes(diagonal, (X,), [split_einsums], before={"einsum": 1}, after={"einsum": 1})
    sites, _ = analyse(captured(diagonal, X))
    assert [site.unsupported for site in sites] == ["einsum is no plain matrix product"]


class Path(nn.Module):
    """An einsum whose path is given, as it is where opt_einsum chooses one."""

    def __init__(self, path: list[int]) -> None:
        super().__init__()
        self.path = path
        self.weights = nn.ParameterList([nn.Parameter(torch.randn(shape)) for shape in ((5, 7), (7, 2), (2, 11))])

    def forward(self, x: Tensor) -> Tensor:
        return torch.ops.aten.einsum.default("bij,jk,kl,lm->bim", [x, *self.weights], path=self.path)


@pytest.mark.parametrize(
    ("path", "macs"),
    [
        ([0, 1, 0, 2, 0, 1], 2 * 3 * (5 * 7 + 7 * 2 + 2 * 11)),
        ([0, 1, 0, 1, 0, 1], 2 * 3 * (5 * 7 + 7 * 11) + 7 * 2 * 11),
        ([1, 2, 1, 2, 0, 1], 2 * 3 * 5 * 11 + 5 * 7 * 2 + 5 * 2 * 11),
    ],
)
def test_a_given_path_is_taken(path: list[int], macs: int) -> None:
    model = Path(path)
    found = capture(model, (X,))
    sites, context = analyse(found.graph_module)
    assert found.eager_macs == macs
    assert macs == sum(op.macs for op in context.log.folded) + 2 * sum(site.macs for site in sites)
    check_outputs_equal(model, found.graph_module, (X,))
