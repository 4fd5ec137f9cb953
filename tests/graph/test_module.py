from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from asim_fx.capture import capture, module_of
from asim_fx.graph.edit import get_tensor, store


class Offset(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("saved", torch.ones(3))
        self.register_buffer("unsaved", torch.ones(3), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.saved + self.unsaved


def test_a_copy_has_the_keys_of_the_original() -> None:
    model = nn.Sequential(Offset(), nn.Linear(3, 2))
    graph_module = capture(model, torch.zeros(2, 3)).graph_module
    store(graph_module, "later", torch.zeros(1), persistent=False)
    first = next(iter(graph_module.graph.nodes))
    with graph_module.graph.inserting_before(first):
        get_tensor(graph_module.graph, graph_module, "later", like=first)
    graph_module.recompile()
    twice = copy.deepcopy(copy.deepcopy(graph_module))
    assert {"0.unsaved", "later"} <= dict(twice.named_buffers()).keys()
    assert list(twice.state_dict()) == list(graph_module.state_dict())
    assert twice.state_dict().keys() == model.state_dict().keys()


def test_an_exported_program_has_the_keys_of_its_model() -> None:
    model = nn.Sequential(Offset(), nn.Linear(3, 2)).eval()
    module = module_of(torch.export.export(model, (torch.zeros(2, 3),)))
    assert module.state_dict().keys() == model.state_dict().keys()
