from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.fx import GraphModule

import asim_fx
from asim_fx.errors import PlanError
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


class Choosing(nn.Module):
    """A linear, then by the sum of its result one or two more, then a linear."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Linear(4, 8), nn.Linear(8, 3)
        self.wide, self.narrow, self.short = nn.Linear(8, 16), nn.Linear(16, 8), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        y = self.stem(x)
        y = torch.cond(y.sum() > 0, lambda y: self.narrow(self.wide(y)), lambda y: self.short(y), (y,))
        return self.head(y)


def test_what_a_branch_multiplies_stays_in_float_and_is_counted() -> None:
    x = torch.randn(2, 4)
    model = Choosing().eval()
    converted = asim_fx.convert(model, "ideal", x)
    totals, branch = converted.report.totals, 2 * 8 * 16
    assert totals["macs"] == 4 * 8 + branch + 8 * 3
    assert totals["macs_analog"] == 4 * 8 + 8 * 3
    assert totals["macs_float"] == branch
    assert [(row.macs, "torch.cond" in row.reason) for row in converted.report.unmapped] == [(branch, True)]
    converted.set_fidelity("float")
    for images in (x, -x, torch.randn(5, 4)):
        assert torch.allclose(converted(images), model(images), atol=1e-5)


def test_strict_refuses_a_branch_that_multiplies() -> None:
    with pytest.raises(PlanError, match="branch"):
        asim_fx.convert(Choosing(), "ideal", torch.randn(2, 4), strict=True)
