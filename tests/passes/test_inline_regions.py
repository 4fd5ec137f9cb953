from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.fx import GraphModule

from asim_fx.passes.inline_regions import inline_regions

from .helper import check_passes

X = torch.zeros(2, 3, 4)


class Nested(nn.Module):
    """A region inside a region, each with a constant of its own, and a parameter read inside."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 4))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast("cpu", enabled=False):
            y = x @ self.weight
            with torch.no_grad():
                z = y * torch.tensor([1.0, 2.0, 3.0, 4.0])
        return y + z, z


def test_nested_regions_become_plain_operations() -> None:
    model = Nested()
    graph_module, context = check_passes(
        model, (X,), [inline_regions], before={"matmul": 0}, after={"matmul": 1, "wrap_with_autocast": 0}
    )
    assert graph_module.state_dict().keys() == model.state_dict().keys()
    assert not any(isinstance(child, GraphModule) for child in graph_module.children())
    assert context.log.notes == []


def test_an_autocast_that_lowers_precision_is_reported() -> None:
    class Lowering(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                return (x @ x.transpose(1, 2)).float()

    _, context = check_passes(Lowering(), (X,), [inline_regions], before={}, after={"matmul": 1}, tolerance=2e-2)
    assert context.log.notes == [("", "an autocast region to torch.bfloat16 runs without autocast")]


def test_writes_in_a_region_stay_visible_outside() -> None:
    class Writing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = x * 2
            with torch.no_grad():
                y.relu_()
            return y

    check_passes(Writing(), (X,), [inline_regions], before={}, after={"relu_": 1})
