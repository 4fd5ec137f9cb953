from __future__ import annotations

import re

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asim_fx.capture import capture
from asim_fx.ir import ConvGeometry, OpKind, OpSite

from .helper import analyse, captured

IMAGE = torch.zeros(2, 4, 6, 8)
TOKENS = torch.zeros(2, 5, 8)


def sites_of(model: nn.Module, *inputs: Tensor, **context: object) -> dict[str, OpSite]:
    found = capture(model, inputs)
    sites, ran = analyse(found.graph_module, **context)
    assert found.eager_macs == sum(site.example_macs for site in sites) + sum(op.macs for op in ran.log.folded)
    for site in sites:
        if not site.unsupported:
            assert site.macs == site.groups * site.vectors * site.k * site.n
    assert len({site.label for site in sites}) == len(sites)
    return {site.label: site for site in sites}


def test_convolution() -> None:
    model = nn.Sequential(nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2), groups=2))
    site = sites_of(model, IMAGE)["0"]
    assert (site.kind, site.k, site.n, site.groups, site.vectors) == (OpKind.CONV, 12, 3, 2, 3 * 6)
    assert site.input_shape == (None, 4, 6, 8)
    assert site.weight_shape == (6, 2, 3, 2)
    assert site.output_shape == (None, 6, 3, 6)
    assert site.geometry == ConvGeometry((3, 2), (2, 1), ((1, 1), (0, 0)), (1, 2))
    assert site.static_weight
    assert not site.depthwise


def test_string_padding_is_asymmetric_for_even_kernels() -> None:
    model = nn.Sequential(nn.Conv2d(4, 4, (4, 3), padding="same", groups=4), nn.Conv2d(4, 4, 3, padding="valid"))
    sites = sites_of(model, IMAGE)
    assert sites["0"].geometry is not None
    assert sites["0"].geometry.padding == ((1, 2), (1, 1))
    assert sites["0"].depthwise
    assert sites["1"].geometry is not None
    assert sites["1"].geometry.padding == ((0, 0), (0, 0))


def test_a_transposed_convolution_streams_its_input_positions() -> None:
    model = nn.Sequential(nn.ConvTranspose2d(4, 6, (3, 2), (2, 1), (1, 0), output_padding=(1, 0), groups=2))
    site = sites_of(model, IMAGE)["0"]
    assert (site.kind, site.k, site.n, site.groups, site.vectors) == (OpKind.CONV, 12, 3, 2, 6 * 8)
    assert site.geometry == ConvGeometry((3, 2), (2, 1), ((1, 1), (0, 0)), (1, 1), output_padding=(1, 0))
    assert site.output_shape == (None, 6, 12, 9)
    assert not site.unsupported


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(8, 24)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).reshape(-1, 5, 3, 2, 4).permute(2, 0, 3, 1, 4).unbind(0)
        return F.scaled_dot_product_attention(q, k[:, :, :3], v[:, :, :3])


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attn = Attention()
        self.norm = nn.LayerNorm(4)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.attn(x)).mean((1, 2)))


def test_attention_streams_k_and_the_scores() -> None:
    sites = sites_of(Model(), TOKENS)
    assert list(sites) == ["attn.qkv", "attn.qk", "attn.av", "head"]
    qk, av = sites["attn.qk"], sites["attn.av"]
    assert (qk.k, qk.n, qk.groups, qk.vectors) == (4, 5, 2, 3)
    assert (qk.input_shape, qk.weight_shape, qk.output_shape) == ((None, 2, 3, 4), (None, 2, 5, 4), (None, 2, 5, 3))
    assert (av.k, av.n, av.groups, av.vectors) == (3, 4, 2, 5)
    assert (av.input_shape, av.weight_shape, av.output_shape) == ((None, 2, 5, 3), (None, 2, 3, 4), (None, 2, 5, 4))
    assert qk.module == av.module == "attn"
    assert not qk.static_weight
    assert "@classifier" in sites["head"].aliases


def test_a_prefix_goes_before_every_name() -> None:
    sites = sites_of(Model(), TOKENS, prefix="backbone.body")
    assert list(sites)[:2] == ["backbone.body.attn.qkv", "backbone.body.attn.qk"]
    assert sites["backbone.body.attn.qk"].module == "backbone.body.attn"


class Repeated(nn.Module):
    """One block called twice, which multiplies twice without a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.block = Block()

    def forward(self, x: Tensor) -> Tensor:
        return self.block(self.block(x))


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        return x @ (x.mT @ self.linear(x))


def test_repeated_modules_number_their_calls() -> None:
    assert list(sites_of(Repeated(), TOKENS)) == [
        *("block.linear", "block.matmul_0", "block.matmul_1"),
        *("block.linear@1", "block.matmul_0@1", "block.matmul_1@1"),
    ]


class Packed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.same = nn.MultiheadAttention(8, 2, batch_first=True)
        self.other = nn.MultiheadAttention(8, 2, kdim=4, vdim=4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.same(x, x, x, need_weights=False)[0]
        y = x[..., :4]
        return self.other(x, y, y, need_weights=False)[0]


def test_multi_head_attention_is_named_by_its_parameters() -> None:
    assert list(sites_of(Packed(), TOKENS)) == [
        *("same.in_proj", "same.qk", "same.av", "same.out_proj"),
        *("other.q_proj", "other.k_proj", "other.v_proj", "other.qk", "other.av", "other.out_proj"),
    ]


class Windows(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        windows = x.reshape(-1, 4, 3, 2, 4, 2).permute(0, 2, 4, 3, 5, 1).reshape(-1, 4, 4)
        return windows @ windows.mT


def test_windows_merged_into_the_batch_count_as_groups() -> None:
    site = sites_of(Windows(), IMAGE)["matmul_0"]
    assert site.input_shape == (12, 4, 4)
    assert (site.k, site.n, site.groups, site.vectors) == (4, 4, 12, 4)


class Weights(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.right = nn.Parameter(torch.randn(8, 3))
        self.heads = nn.Parameter(torch.randn(5, 3, 2))

    def forward(self, x: Tensor) -> Tensor:
        return ((x @ self.right)[:, :, None] @ self.heads)[:, :, 0]


def test_products_with_parameters() -> None:
    sites = sites_of(Weights(), TOKENS)
    assert (sites["right"].k, sites["right"].n, sites["right"].groups, sites["right"].vectors) == (8, 3, 1, 5)
    assert (sites["heads"].k, sites["heads"].n, sites["heads"].groups, sites["heads"].vectors) == (3, 2, 5, 1)
    assert all(site.static_weight and site.kind is OpKind.MATMUL for site in sites.values())


class DynamicConv(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        kernels = x.mean((2, 3)).reshape(-1, 1, 1, 1)
        return F.conv2d(x.reshape(1, -1, 6, 8), kernels, groups=kernels.shape[0]).reshape(-1, 4, 6, 8)


def test_a_convolution_with_a_weight_for_each_sample_counts_the_groups_of_one() -> None:
    site = sites_of(DynamicConv(), IMAGE)["conv_0"]
    assert (site.k, site.n, site.groups, site.vectors) == (1, 1, 4, 48)
    assert not site.static_weight
    assert not site.unsupported


class BatchInOutputs(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x[:1], x.mean((2, 3)).reshape(-1, 4, 1, 1)).reshape(-1, 1, 6, 8)


class Beside(nn.Module):
    """One linear of the images, another of a tensor that no image is part of."""

    def __init__(self) -> None:
        super().__init__()
        self.image = nn.Linear(8, 4)
        self.anchor = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        anchors = self.anchor(torch.arange(56.0).view(7, 8) * torch.rand(7, 8))
        return self.image(x) @ anchors.T


def test_what_belongs_to_no_image_is_counted_whole() -> None:
    sites = sites_of(Beside(), TOKENS[:, 0])
    assert (sites["anchor"].vectors, sites["anchor"].macs, sites["anchor"].example_macs) == (7, 7 * 32, 7 * 32)
    assert (sites["image"].vectors, sites["image"].macs, sites["image"].example_macs) == (1, 32, 2 * 32)


class Rows(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(8))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight)


def test_a_weight_of_one_dimension_is_a_matrix_of_one_row() -> None:
    (site,) = sites_of(nn.Sequential(Rows()), TOKENS).values()
    assert (site.name, site.kind, site.k, site.n, site.vectors) == ("0", OpKind.LINEAR, 8, 1, 5)
    assert not site.unsupported


class NamedLikeItsProduct(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qk, self.v = nn.Linear(8, 16), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        q, k = self.qk(x).chunk(2, -1)
        return (q @ k.mT).softmax(-1) @ self.v(x)


def test_a_product_never_takes_the_name_of_a_layer() -> None:
    assert list(sites_of(NamedLikeItsProduct(), TOKENS)) == ["qk", "qk_product", "v", "av"]


class Pairwise(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.pair = nn.Bilinear(8, 8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.pair(x, x * 2)


UNSUPPORTED = {
    "bilinear": (Pairwise(), TOKENS, "pair", "bilinear layers"),
    "lstm": (nn.Sequential(nn.LSTM(8, 4, proj_size=2, batch_first=True)), TOKENS, "0", "lstm with packed sequences"),
    "batch in the outputs": (BatchInOutputs(), IMAGE, "conv_0", "batch is part of the stored matrix"),
    "complex": (nn.Sequential(nn.Linear(8, 2)).to(torch.complex64), TOKENS.to(torch.complex64), "0", "complex64"),
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_forms_that_cannot_be_lowered_say_why(name: str) -> None:
    model, x, label, reason = UNSUPPORTED[name]
    site = sites_of(model, x)[label]
    assert site.macs > 0
    assert re.search(reason, site.unsupported)


def test_a_model_that_is_one_layer() -> None:
    assert list(sites_of(nn.Linear(8, 2), TOKENS)) == ["linear"]
    assert list(sites_of(nn.Conv2d(4, 2, 3), IMAGE)) == ["conv"]


def test_aliases_given_by_the_model_win_and_unknown_ones_fall_back() -> None:
    model = nn.Sequential(nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1), nn.Flatten(), nn.Linear(192, 3))
    aliases = {"@first_conv": ("1",), "@classifier": ("no.such",)}
    sites, _ = analyse(captured(model, IMAGE), aliases=aliases)
    assert {site.name: sorted(site.aliases) for site in sites} == {"0": [], "1": ["@first_conv"], "3": ["@classifier"]}
    sites, _ = analyse(captured(model, IMAGE))
    assert [site.name for site in sites if "@first_conv" in site.aliases] == ["0"]


def test_two_heads_are_two_classifiers() -> None:
    class Heads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(8, 3), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return {"mean": (self.one(x) + self.two(x)) / 2, "features": x.relu()}

    sites, _ = analyse(captured(Heads(), TOKENS))
    assert [site.name for site in sites if "@classifier" in site.aliases] == ["one", "two"]
