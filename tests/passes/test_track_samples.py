from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.fx import GraphModule
from torch.nn import functional as F

from asim_fx.ir import BatchLayout, annotation_of, iter_sites

from .helper import analyse, captured, record

IMAGE = torch.zeros(2, 4, 6, 8)


def check_layouts(graph_module: GraphModule, example: Tensor, *, batch: int = 3) -> int:
    """Change one sample of the input and check that in every node only elements of that sample change.

    Returns:
        how many nodes did change, over all samples.
    """
    generator = torch.Generator().manual_seed(batch)
    x = torch.randn((batch, *example.shape[1:]), generator=generator)
    before = record(graph_module, x)
    checked = 0
    for sample in range(batch):
        changed = x.clone()
        changed[sample] = torch.randn(example.shape[1:], generator=generator)
        after = record(graph_module, changed)
        for node, value in after.items():
            layout = annotation_of(node).layout
            if layout is None:
                continue
            assert value.numel() == layout.elements * batch
            owner = (torch.arange(value.numel()) // layout.stride) % batch
            differs = (value != before[node]).flatten() & ~(value.isnan() & before[node].isnan()).flatten()
            assert bool((owner[differs] == sample).all()), f"{node} spreads sample {sample}"
            checked += bool(differs.any())
    return checked


class Call(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.function = function
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.linear = nn.Linear(8, 8)
        self.rnn = nn.LSTM(8, 4, bidirectional=True, batch_first=True)
        self.token = nn.Parameter(torch.randn(1, 1, 8))

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)


def windows(m, x: Tensor) -> Tensor:
    x = torch.roll(x.permute(0, 2, 3, 1), (1, 2), (1, 2))
    x = x.reshape(-1, 3, 2, 4, 2, 4).permute(0, 1, 3, 2, 4, 5).reshape(-1, 4, 4)
    x = (x @ x.mT).softmax(-1) @ x
    mask = x.new_zeros(12, 4, 4)
    mask[3:, 1] = 2
    x = (x.view(-1, 12, 4, 4) + mask).view(-1, 4, 4)
    return x.view(-1, 3, 4, 2, 2, 4).permute(0, 5, 1, 3, 2, 4).reshape(-1, 4, 6, 8)


def samples_last(m, x: Tensor) -> Tensor:
    return m.linear(x.permute(1, 2, 0, 3)).relu().permute(2, 0, 1, 3)


def class_token(m, x: Tensor) -> Tensor:
    x = x.flatten(1, 2)
    return m.linear(torch.cat([m.token.expand(x.shape[0], -1, -1), x], 1))[:, 0]


KNOWN = {
    "convolution": lambda m, x: F.max_pool2d(m.conv(x).relu(), 2),
    "linear": lambda m, x: m.linear(x).mean((1, 2)),
    "windows": windows,
    "samples along another dimension": samples_last,
    "class token": class_token,
    "repeated mean": lambda m, x: x + x.mean((2, 3), keepdim=True).expand(-1, -1, 6, 8),
    "stacked": lambda m, x: torch.stack([x, x * 2], 1).select(1, 1).flip(2),
    "split": lambda m, x: torch.cat([y * (i + 1) for i, y in enumerate(x.chunk(2, 1))], 1),
    "indexed": lambda m, x: x[:, :, torch.tensor([0, 2, 1])],
    "padded": lambda m, x: F.pad(x, (1, 1, 0, 1))[..., 1:],
    "resized": lambda m, x: F.interpolate(x, scale_factor=2, mode="bilinear"),
    "shuffled": lambda m, x: F.pixel_shuffle(x, 2),
    "unfolded": lambda m, x: F.unfold(x, 3).transpose(1, 2),
    "grouped norm": lambda m, x: F.group_norm(x, 2),
    "repeated samples": lambda m, x: m.conv(x.repeat(3, 1, 1, 1)),
    "interleaved samples": lambda m, x: m.conv(x.repeat_interleave(3, 0)).view(-1, 3, 4, 6, 8).mean(1),
    "batches one after another": lambda m, x: m.conv(torch.cat([x, x * 2], 0)),
    "one weight a sample": lambda m, x: F.conv2d(
        x.reshape(1, -1, 6, 8), x.mean(3).reshape(-1, 1, 2, 3), groups=4 * x.shape[0]
    ).reshape(-1, 4, 5, 6),
    "recurrence": lambda m, x: m.rnn(x.flatten(1, 2))[0] + m.rnn(x.flatten(0, 1))[0].reshape(-1, 24, 8),
    "last states": lambda m, x: torch.cat(m.rnn(x.flatten(1, 2))[1], -1)[0],
    "larger of two": lambda m, x: torch.max(x, x.flip(1)) - torch.min(x.relu(), m.token[:, 0]),
    "one hot": lambda m, x: F.one_hot((x > 0).long(), 2) * 1.0,
}


@pytest.mark.parametrize("name", KNOWN)
def test_every_node_is_followed(name: str) -> None:
    graph_module = captured(Call(KNOWN[name]), IMAGE)
    analyse(graph_module)
    lost = [
        node.name
        for node in graph_module.graph.nodes
        if isinstance(node.meta.get("val"), Tensor)
        and node.op in ("placeholder", "call_function")
        and annotation_of(node).layout is None
        and any(annotation_of(source).layout is not None for source in node.all_input_nodes)
    ]
    assert lost == []
    assert check_layouts(graph_module, IMAGE) > 3


def test_strides_of_merged_windows() -> None:
    graph_module = captured(Call(windows), IMAGE)
    sites, _ = analyse(graph_module)
    per_sample = math.prod(IMAGE.shape[1:])
    assert [site.layout for site in sites] == [BatchLayout(per_sample, per_sample)] * 2
    assert all(site.input_layout == site.weight_layout == site.layout for site in sites)


def test_strides_where_samples_lie_inside() -> None:
    sites, _ = analyse(captured(Call(samples_last), IMAGE))
    assert sites[0].layout == BatchLayout(stride=8, elements=192)


UNKNOWN = {
    "mixed over the batch": lambda m, x: x + x.mean(0),
    "normalised over the batch": lambda m, x: x.softmax(0),
    "shifted along the batch": lambda m, x: torch.roll(x, 1, 0),
    "rolled flat": lambda m, x: torch.roll(x, 1),
    "multiplied across samples": lambda m, x: x.flatten(1) @ x.flatten(1).T,
    "reversed": lambda m, x: x.flip(0),
    "joined with a constant": lambda m, x: torch.cat([x, torch.ones(1, 4, 6, 8)], 0),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_mixing_samples_ends_the_trail(name: str) -> None:
    graph_module = captured(Call(UNKNOWN[name]), IMAGE)
    analyse(graph_module)
    last = list(graph_module.graph.nodes)[-1].all_input_nodes[0]
    assert annotation_of(last).layout is None
    check_layouts(graph_module, IMAGE)


def test_a_small_network(small_net: nn.Module) -> None:
    example = torch.zeros(2, 2, 8, 8)
    graph_module = captured(small_net, example)
    analyse(graph_module)
    assert all(site.layout is not None and site.input_layout is not None for _, site in iter_sites(graph_module.graph))
    assert check_layouts(graph_module, example) > 20
