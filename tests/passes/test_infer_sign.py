from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.fx import Node
from torch.nn import functional as F

from asim_fx.ir import annotation_of

from .helper import Recorder, analyse, captured, record

CONSTANT = torch.tensor([1.0, 2.0, 0.0, 3.0]).view(4, 1, 1)
IMAGE = torch.zeros(2, 4, 6, 6)


class Before(nn.Module):
    """Some expression, then a convolution whose input is in question."""

    def __init__(self, function) -> None:
        super().__init__()
        self.function = function
        self.conv = nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.function(x))


def reason(function) -> str:
    sites, _ = analyse(captured(Before(function), IMAGE))
    return sites[-1].input_nonnegative


def written_later(x: Tensor) -> Tensor:
    y = x * 1
    y.relu_()
    return y


def written_through_a_view(x: Tensor) -> Tensor:
    y = (x * 1).relu()
    y.view(-1).sub_(1)
    return y


def written_chunk(x: Tensor) -> Tensor:
    y = torch.cat([F.relu(x), F.relu(x)], 1)
    parts = y.chunk(2, 1)
    y.sub_(1)
    return parts[0]


def residual(x: Tensor) -> Tensor:
    y = F.relu(x)
    y += x
    return y


def residual_relu(x: Tensor) -> Tensor:
    y = x * 1
    y += F.relu(x)
    return y.relu_()


PROVEN = {
    "relu": (F.relu, "relu"),
    "relu6": (F.relu6, "relu6"),
    "relu_": (lambda x: (x * 1).relu_(), "relu"),
    "hardtanh": (lambda x: F.hardtanh(x, 0, 4), "hardtanh"),
    "clamp": (lambda x: x.clamp(min=0), "clamp"),
    "sigmoid": (F.sigmoid, "sigmoid"),
    "hardsigmoid": (F.hardsigmoid, "hardsigmoid"),
    "softmax": (lambda x: x.softmax(1), "softmax"),
    "exp": (torch.exp, "exp"),
    "abs": (torch.abs, "abs"),
    "square": (lambda x: x * x, "square"),
    "even power": (lambda x: x**2, "even power"),
    "softplus": (F.softplus, "softplus"),
    "pooled": (lambda x: F.max_pool2d(F.relu(x), 2, padding=1), "max_pool2d of relu"),
    "averaged twice": (lambda x: F.avg_pool2d(F.max_pool2d(F.relu(x), 2), 2), "avg_pool2d of relu"),
    "reshaped": (lambda x: F.relu(x).flatten(2).view(-1, 4, 6, 6).permute(0, 1, 3, 2), "relu"),
    "concatenated": (lambda x: torch.cat([F.relu(x), x.sigmoid()], 1)[:, ::2], "cat of relu, sigmoid"),
    "added": (lambda x: F.relu(x) + x.abs() * 2, "add of relu, abs"),
    "gated": (lambda x: F.relu(x) * x.mean((2, 3), keepdim=True).sigmoid(), "product of relu, sigmoid"),
    "padded": (lambda x: F.pad(F.relu(x), (1, 1)), "relu"),
    "bilinear": (lambda x: F.interpolate(F.relu(x), scale_factor=2, mode="bilinear"), "upsample_bilinear2d of relu"),
    "maximum": (lambda x: torch.maximum(x, F.relu(x)), "relu"),
    "constant factor": (
        lambda x: F.relu(x) * torch.tensor([1.0, 2.0, 0.0, 3.0]).view(4, 1, 1),
        "product of relu, constant",
    ),
    "stored constant": (lambda x: F.relu(x) * CONSTANT, "product of relu, constant"),
    "larger of two": (lambda x: torch.max(F.relu(x), x), "relu"),
    "smaller of two": (lambda x: torch.min(F.relu(x), x.sigmoid()), "min of relu"),
    "clamp by tensors": (lambda x: x.clamp(torch.zeros(6), x.abs()), "clamp"),
    "bytes": (lambda x: (x * 9).to(torch.uint8).float(), "uint8"),
    "wider integers": (lambda x: (x * 9).to(torch.uint8).to(torch.int16).float(), "uint8"),
    "elu of relu": (lambda x: F.elu(F.relu(x)), "elu of relu"),
    "gelu of relu": (lambda x: F.gelu(F.relu(x)), "gelu of relu"),
    "written later": (written_later, "relu"),
    "relu of a sum in place": (residual_relu, "relu"),
}


@pytest.mark.parametrize("name", PROVEN)
def test_it_is_proven(name: str) -> None:
    function, expected = PROVEN[name]
    assert reason(function) == expected


NOT_PROVEN = {
    "input": lambda x: x,
    "hardtanh": lambda x: F.hardtanh(x, -1, 4),
    "clamp to a negative": lambda x: F.relu(x).clamp(max=-1),
    "gelu": F.gelu,
    "hardswish": F.hardswish,
    "difference": lambda x: F.relu(x) - x.sigmoid(),
    "subtracting add": lambda x: torch.add(F.relu(x), x.abs(), alpha=-1),
    "negative factor": lambda x: F.relu(x) * -1,
    "one of two": lambda x: torch.cat([F.relu(x), x], 1)[:, ::2],
    "odd power": lambda x: x**3,
    "padded with a negative": lambda x: F.pad(F.relu(x), (1, 1), value=-1.0),
    "bicubic": lambda x: F.interpolate(F.relu(x), scale_factor=2, mode="bicubic"),
    "negative constant": lambda x: F.relu(x) * torch.tensor([1.0, -2.0, 0.0, 3.0]).view(4, 1, 1),
    "normalised": lambda x: F.layer_norm(F.relu(x), (6,)),
    "clamp to a negative tensor": lambda x: x.clamp(torch.zeros(6), x.mean((2, 3), keepdim=True) - 1),
    "relu below a tensor": lambda x: F.relu(x).clamp(max=x - 1),
    "smaller of two": lambda x: torch.min(F.relu(x), x),
    "larger of two": lambda x: torch.max(x, x - 1),
    "bytes read with a sign": lambda x: (x.abs() * 90 + 120).to(torch.uint8).view(torch.int8).float(),
    "bytes cast with a sign": lambda x: (x.abs() * 90 + 120).to(torch.uint8).to(torch.int8).float(),
    "narrower integers": lambda x: (F.relu(x) * 90).to(torch.int32).to(torch.int8).float(),
    "integers that wrap": lambda x: ((F.relu(x) * 90).to(torch.uint8).to(torch.int16) * 999).abs().float(),
    "bits of halves": lambda x: F.relu(x).view(torch.int32).float().sub(2e9),
    "softplus turned": lambda x: F.softplus(x, beta=-1.0),
    "softplus that ends early": lambda x: F.softplus(x, threshold=-5.0),
    "elu turned": lambda x: torch.ops.aten.elu(F.relu(x), 1.0, -1.0),
    "hardtanh turned": lambda x: torch.ops.aten.hardtanh(x, 0.0, -1.0),
    "average turned": lambda x: F.avg_pool2d(F.relu(x), 2, divisor_override=-4),
    "scaled subtraction": lambda x: torch.ops.aten.add.Scalar(F.relu(x), 1, -1),
    "written chunk": written_chunk,
    "residual in place": residual,
    "written through a view": written_through_a_view,
}


def skip_what_torch_refuses(name: str) -> None:
    """Some torches run a hardtanh with turned bounds, and refuse to trace it."""
    if name == "hardtanh turned":
        try:
            torch.ops.aten.hardtanh(torch.empty(1, device="meta"), 0.0, -1.0)
        except ValueError as error:
            pytest.skip(str(error))


@pytest.mark.parametrize("name", NOT_PROVEN)
def test_it_is_not_proven(name: str) -> None:
    skip_what_torch_refuses(name)
    assert reason(NOT_PROVEN[name]) == ""


def test_sites_know_both_operands() -> None:
    class Products(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            q, k, v = x, x.relu(), x.sigmoid()
            y = (q @ k.mT).softmax(-1) @ v
            return x @ y.abs()

    sites, _ = analyse(captured(Products(), IMAGE))
    found = {site.name: (site.input_nonnegative, site.weight_nonnegative) for site in sites}
    assert found == {"qk": ("relu", ""), "av": ("softmax", "sigmoid"), "matmul_0": ("", "abs")}


class Checked(Recorder):
    """Also sees what a site reads at the time that it reads it."""

    lowest = 0.0

    def run_node(self, n: Node) -> object:
        site = annotation_of(n).site
        if site is not None and site.input_nonnegative:
            self.lowest = min(self.lowest, float(self.fetch_args_kwargs_from_env(n)[0][0].min()))
        value = super().run_node(n)
        if isinstance(value, Tensor) and annotation_of(n).nonnegative:
            self.lowest = min(self.lowest, float(value.min()))
        return value


@pytest.mark.parametrize("name", [*PROVEN, *NOT_PROVEN])
def test_what_is_proven_holds_on_numbers(name: str) -> None:
    skip_what_torch_refuses(name)
    function = PROVEN[name][0] if name in PROVEN else NOT_PROVEN[name]
    graph_module = captured(Before(function), IMAGE)
    analyse(graph_module)
    checked = Checked(graph_module)
    with torch.no_grad():
        checked.run(3 * torch.randn(3, 4, 6, 6, generator=torch.Generator().manual_seed(0)))
    assert checked.lowest >= 0


def test_what_is_proven_of_a_network_holds_on_numbers(small_net: nn.Module) -> None:
    graph_module = captured(small_net, torch.zeros(2, 2, 8, 8))
    analyse(graph_module)
    values = record(graph_module, torch.randn(3, 2, 8, 8, generator=torch.Generator().manual_seed(0)))
    proven = [node for node in values if annotation_of(node).nonnegative]
    assert len(proven) >= 4
    assert all(float(values[node].min()) >= 0 for node in proven)


class Scaled(nn.Module):
    """``relu(x) * scale`` before a linear; the scale is positive when it is captured."""

    def __init__(self, scale: nn.Parameter | Tensor, *, persistent: bool = True) -> None:
        super().__init__()
        if isinstance(scale, nn.Parameter):
            self.scale = scale
        else:
            self.register_buffer("scale", scale, persistent=persistent)
        self.linear = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(F.relu(x) * self.scale)


@pytest.mark.parametrize("scale", [nn.Parameter(torch.ones(6)), torch.ones(6)], ids=["trained", "loaded"])
def test_nothing_is_proven_from_values_that_training_or_loading_changes(scale: Tensor) -> None:
    sites, _ = analyse(captured(Scaled(scale), IMAGE))
    assert sites[0].input_nonnegative == ""


def test_a_buffer_that_is_never_saved_is_a_constant() -> None:
    sites, _ = analyse(captured(Scaled(torch.ones(6), persistent=False), IMAGE))
    assert sites[0].input_nonnegative == "product of relu, constant"
