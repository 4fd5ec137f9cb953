from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from asim_fx.capture import capture, module_of
from asim_fx.passes.inline_regions import inline_regions
from asim_fx.passes.recompose import recompose

from .helper import analyse, apply, count_ops


def decomposed(model: nn.Module, *inputs: Tensor) -> nn.Module:
    dim = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(model.eval(), inputs, dynamic_shapes=tuple({0: dim} for _ in inputs))
    return module_of(program.run_decompositions())


@pytest.mark.parametrize(
    ("model", "shape", "name"),
    [
        (nn.Conv1d(4, 6, 3, padding=1), (2, 4, 9), "conv1d"),
        (nn.Conv2d(4, 8, 3, stride=2, dilation=2, groups=2), (2, 4, 9, 9), "conv2d"),
        (nn.Conv3d(2, 3, 2), (2, 2, 4, 4, 4), "conv3d"),
        (nn.ConvTranspose1d(4, 6, 3, stride=2, output_padding=1), (2, 4, 9), "conv_transpose1d"),
        (nn.ConvTranspose2d(4, 8, 3, groups=2, dilation=2), (2, 4, 5, 5), "conv_transpose2d"),
        (nn.LayerNorm(6), (2, 4, 6), "layer_norm"),
        (nn.GroupNorm(2, 6), (2, 6, 5), "group_norm"),
        (nn.BatchNorm2d(3), (2, 3, 4, 4), "batch_norm"),
        (nn.MaxPool2d(2), (2, 3, 4, 4), "max_pool2d"),
        (nn.Softmax(-1), (2, 3, 4), "softmax"),
    ],
)
def test_decomposed_layers_get_their_names_back(model: nn.Module, shape: tuple[int, ...], name: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(shape)
    graph_module = capture(decomposed(model, x), (x,)).graph_module
    assert name not in count_ops(graph_module)
    apply(graph_module, [inline_regions, recompose])
    assert count_ops(graph_module)[name] == 1
    assert torch.allclose(graph_module(x), model(x), atol=1e-5)


def test_a_linear_that_became_a_batched_product_is_one_site() -> None:
    class Turned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.proj = nn.Linear(8, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.proj(x.transpose(1, 2))

    x = torch.randn(2, 8, 7)
    graph_module = capture(decomposed(Turned(), x), (x,)).graph_module
    assert count_ops(graph_module)["bmm"] == 1
    sites, _ = analyse(graph_module)
    assert [(site.name, site.kind.value, site.k, site.n, site.vectors, site.static_weight) for site in sites] == [
        ("proj", "linear", 8, 5, 7, True)
    ]


def test_a_product_of_two_activations_stays() -> None:
    class Product(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.bmm(x, x.transpose(1, 2))

    x = torch.randn(2, 3, 4)
    graph_module = capture(Product(), (x,)).graph_module
    apply(graph_module, [inline_regions, recompose])
    assert count_ops(graph_module)["bmm"] == 1


def test_a_pool_whose_indices_are_used_stays() -> None:
    x = torch.randn(2, 3, 4, 4)
    pool = nn.MaxPool2d(2, return_indices=True)
    graph_module = capture(decomposed(pool, x), (x,)).graph_module
    apply(graph_module, [inline_regions, recompose])
    assert torch.equal(graph_module(x)[1], pool(x)[1])
