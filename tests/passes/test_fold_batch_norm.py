from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asim_fx.passes.fold_batch_norm import fold_batch_norm

from .helper import apply, captured, check_passes, count_ops, make_context


def trained(norm: nn.Module) -> nn.Module:
    """Give a batch norm statistics that are not 0 and 1."""
    generator = torch.Generator().manual_seed(norm.num_features)
    for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
        if tensor is not None:
            tensor.data = torch.rand(tensor.shape, generator=generator) + 0.5
    return norm


IMAGE = torch.zeros(2, 4, 6, 6)
FOLDED = {
    "conv2d": (nn.Sequential(nn.Conv2d(4, 6, 3), trained(nn.BatchNorm2d(6))), IMAGE),
    "without bias": (nn.Sequential(nn.Conv2d(4, 6, 3, bias=False), trained(nn.BatchNorm2d(6))), IMAGE),
    "grouped": (nn.Sequential(nn.Conv2d(4, 6, 3, groups=2), trained(nn.BatchNorm2d(6))), IMAGE),
    "string padding": (nn.Sequential(nn.Conv2d(4, 6, 3, padding="same"), trained(nn.BatchNorm2d(6))), IMAGE),
    "not affine": (nn.Sequential(nn.Conv2d(4, 6, 3), trained(nn.BatchNorm2d(6, affine=False))), IMAGE),
    "conv1d": (nn.Sequential(nn.Conv1d(4, 6, 3), trained(nn.BatchNorm1d(6))), IMAGE[..., 0]),
    "conv3d": (
        nn.Sequential(nn.Conv3d(4, 6, 3), trained(nn.BatchNorm3d(6))),
        IMAGE[:, :, None].expand(-1, -1, 3, -1, -1),
    ),
    "transposed": (nn.Sequential(nn.ConvTranspose2d(4, 6, 3, groups=2), trained(nn.BatchNorm2d(6))), IMAGE),
    "linear": (nn.Sequential(nn.Linear(4, 6), trained(nn.BatchNorm1d(6))), IMAGE[:, :, 0, 0]),
    "in-place after": (nn.Sequential(nn.Conv2d(4, 6, 3), trained(nn.BatchNorm2d(6)), nn.ReLU(inplace=True)), IMAGE),
}


@pytest.mark.parametrize("name", FOLDED)
def test_it_is_folded(name: str) -> None:
    model, x = FOLDED[name]
    graph_module, context = check_passes(
        model, (x,), [fold_batch_norm], before={"batch_norm": 1}, after={"batch_norm": 0}
    )
    assert context.log.notes == []
    assert graph_module.state_dict().keys() == model.state_dict().keys() | {"0.bias"}
    assert graph_module.get_parameter("0.bias").requires_grad


class Flattened(nn.Module):
    """A norm of linear outputs over all tokens at once."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 5)
        self.norm = trained(nn.BatchNorm1d(5))

    def forward(self, x: Tensor) -> Tensor:
        x = self.linear(x)
        return self.norm(x.flatten(0, 2)).reshape_as(x)


def test_a_linear_behind_a_flatten_is_folded() -> None:
    check_passes(Flattened(), (IMAGE,), [fold_batch_norm], before={"batch_norm": 1}, after={"batch_norm": 0})


class Shared(nn.Module):
    """One convolution, two norms."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.one, self.two = trained(nn.BatchNorm2d(4)), trained(nn.BatchNorm2d(4))
        self.two.running_mean.add_(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.two(self.conv(self.one(self.conv(x))))


def test_a_shared_weight_is_copied_for_each() -> None:
    graph_module, _ = check_passes(
        Shared(), (IMAGE,), [fold_batch_norm], before={"batch_norm": 2}, after={"batch_norm": 0}
    )
    assert {"conv.weight", "conv.weight_folded", "conv.weight_folded_1"} <= graph_module.state_dict().keys()


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.norm = trained(nn.BatchNorm2d(4))

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return self.norm(x) + x


class DynamicWeight(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = trained(nn.BatchNorm2d(4))

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(F.conv2d(x, x.mean(0)[None, :, :3, :3].expand(4, -1, -1, -1)))


STAYS = {
    "other uses": (Twice(), "norm", "what it normalises has other uses"),
    "nothing before": (
        nn.Sequential(trained(nn.BatchNorm2d(4))),
        "0",
        "there is no convolution or linear right before it",
    ),
    "statistics of the batch": (
        nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4, track_running_stats=False)),
        "1",
        "it uses the statistics of the batch",
    ),
    "dynamic weight": (DynamicWeight(), "norm", "the weight before it is computed from the input"),
    "other dimension": (
        nn.Sequential(nn.Linear(6, 6), trained(nn.BatchNorm2d(4))),
        "1",
        "it normalises another dimension than the linear before it makes",
    ),
}


@pytest.mark.parametrize("name", STAYS)
def test_it_stays_and_the_report_says_why(name: str) -> None:
    model, owner, reason = STAYS[name]
    _, context = check_passes(model, (IMAGE,), [fold_batch_norm], before={"batch_norm": 1}, after={"batch_norm": 1})
    assert context.log.notes == [(owner, f"batch norm stays: {reason}")]


def test_it_can_be_turned_off() -> None:
    graph_module = captured(FOLDED["conv2d"][0], IMAGE)
    assert not fold_batch_norm(graph_module, make_context(fold_batch_norm=False))
    assert count_ops(graph_module)["batch_norm"] == 1


def test_meta_tensors_keep_their_shape() -> None:
    with torch.device("meta"):
        model = nn.Sequential(nn.Conv2d(4, 6, 3, bias=False), nn.BatchNorm2d(6))
    graph_module = captured(model, IMAGE.to("meta"))
    apply(graph_module, [fold_batch_norm])
    assert count_ops(graph_module)["batch_norm"] == 0
    assert graph_module.get_parameter("0.bias").is_meta
