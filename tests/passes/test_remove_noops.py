from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asim_fx.passes.remove_noops import remove_noops

from .helper import check_passes

X = torch.zeros(2, 3, 4)


class Call(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def mutates_clone(x: Tensor) -> Tensor:
    y = (x * 2).clone()
    y.relu_()
    return y + x


def mutates_original(x: Tensor) -> Tensor:
    y = x * 2
    kept = y.clone()
    y.relu_()
    return kept + y


REMOVED = {
    "dropout": lambda x: F.dropout(x, 0.5, training=False) * 2,
    "to": lambda x: x.to(torch.float32) * 2,
    "expand": lambda x: x.expand(-1, 3, 4) * 2,
    "clone": lambda x: (x * 3).clone() * 2,
    "contiguous": lambda x: (x * 3).transpose(1, 2).contiguous() * 2,
    "pad": lambda x: F.pad(x, (0, 0, 0, 0)) * 2,
    "view": lambda x: x.view(x.shape) * 2,
    "slice": lambda x: x[:, :] * 2,
}


@pytest.mark.parametrize("name", REMOVED)
def test_it_goes(name: str) -> None:
    check_passes(Call(REMOVED[name]), (X,), [remove_noops], before={}, after={name: 0})


KEPT = {
    "view": lambda x: x.view(torch.int32).float(),
    "to": lambda x: x.to(torch.float64),
    "pad": lambda x: F.pad(x, (0, 1)),
    "slice": lambda x: x[:, ::2],
    "dropout": lambda x: F.dropout(x, 0.0, training=True) + F.dropout(x, 0.5, training=False),
    "detach": lambda x: x.detach() * 2,
}


@pytest.mark.parametrize("name", [name for name in KEPT if name != "dropout"])
def test_it_stays(name: str) -> None:
    check_passes(Call(KEPT[name]), (X,), [remove_noops], before={name: 1}, after={name: 1})


COPIES = {
    "dtype": lambda x: x.to(torch.float32, copy=True),
    "device": lambda x: x.to("cpu", copy=True),
    "device and dtype": lambda x: x.to("cpu", torch.float32, copy=True),
    "other": lambda x: x.to(x, copy=True),
}


@pytest.mark.parametrize("name", COPIES)
def test_a_copying_cast_stays_where_it_is_written(name: str) -> None:
    def mutates(x: Tensor) -> Tensor:
        given = x * 2
        copy = COPIES[name](given)
        copy.relu_()
        return given + copy

    graph_module, _ = check_passes(Call(mutates), (X,), [remove_noops], before={}, after={"relu_": 1})
    copies = [node for node in graph_module.graph.nodes if node.name in ("to", "_to_copy")]
    assert len(copies) == 1


@pytest.mark.parametrize("arguments", [(), (torch.float32,), ("cpu", torch.float32)])
def test_a_cast_to_another_memory_order_stays(arguments: tuple) -> None:
    def reorders(x: Tensor) -> Tensor:
        y = x.unsqueeze(1).expand(-1, 2, -1, -1).contiguous()
        return y.to(*arguments, memory_format=torch.channels_last).permute(0, 2, 3, 1).view(-1, 2)

    check_passes(Call(reorders), (X,), [remove_noops], before={"to": 1}, after={"to": 1})


@pytest.mark.parametrize("function", [mutates_clone, mutates_original])
def test_a_clone_stays_where_either_side_is_written(function) -> None:
    check_passes(Call(function), (X,), [remove_noops], before={"clone": 1}, after={"clone": 1})


def test_contiguous_stays_before_a_view() -> None:
    def windows(x: Tensor) -> Tensor:
        return x.transpose(1, 2).contiguous().unbind(1)[0].view(-1, 3)

    check_passes(Call(windows), (X,), [remove_noops], before={"contiguous": 1}, after={"contiguous": 1})


def test_a_new_tensor_needs_no_input() -> None:
    def masked(x: Tensor) -> Tensor:
        mask = x.new_zeros(4)
        mask[1:3] = 5
        return x + mask

    graph_module, _ = check_passes(
        Call(masked), (X,), [remove_noops], before={"new_zeros": 1}, after={"new_zeros": 0, "full": 1}
    )
    full = next(node for node in graph_module.graph.nodes if "full" in node.name)
    assert full.all_input_nodes == []
