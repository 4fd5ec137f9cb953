"""PACT: structure and numbers."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asim_fx.passes import DEFAULT_PIPELINE
from asim_fx.passes.insert_pact import insert_pact
from asim_fx.passes.trace_clips import is_alpha

from .helper import analyse, apply, captured, count_ops, make_context


class Twice(nn.Module):
    """One ReLU that is called twice, and a functional one."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3)
        self.act = nn.ReLU()
        self.fc = nn.Linear(12, 5)
        self.out = nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.conv(x))
        x = self.act(self.fc(F.max_pool2d(x, 2).flatten(1)))
        return self.out(F.relu(x - 1))


X = torch.randn(2, 2, 6, 6)


def test_every_relu_gets_a_bound_of_its_own() -> None:
    graph_module = captured(Twice(), X)
    context = apply(graph_module, [insert_pact], make_context(pact=True))
    assert count_ops(graph_module)["clamp_max"] == 3
    names = {name for name, _ in graph_module.named_parameters() if is_alpha(name)}
    assert names == {"act.pact_alpha", "act.pact_alpha_1", "pact_alpha"}
    assert not context.log.notes


def test_without_being_asked_it_does_nothing() -> None:
    graph_module = captured(Twice(), X)
    apply(graph_module, [insert_pact])
    assert count_ops(graph_module)["clamp_max"] == 0


def test_clamp_and_gradient() -> None:
    """clamp(x, 0, alpha); alpha's gradient is the sum of the gradient where x is above it."""
    graph_module = captured(nn.Sequential(nn.ReLU()), torch.zeros(2, 4))
    apply(graph_module, [insert_pact], make_context(pact=True))
    alpha = graph_module.get_parameter("0.pact_alpha")
    assert alpha.item() == 6
    with torch.no_grad():
        alpha.fill_(1.5)
    x = torch.tensor([[-1.0, 0.5, 1.4, 1.6], [2.0, -3.0, 1.0, 9.0]], requires_grad=True)
    weights = torch.arange(1.0, 9.0).reshape(2, 4)
    y = graph_module(x)
    assert torch.equal(y, x.clamp(0, 1.5))
    (y * weights).sum().backward()
    assert alpha.grad is not None
    assert alpha.grad.item() == 4 + 5 + 8
    assert x.grad is not None
    assert torch.equal(x.grad, weights * ((x > 0) & (x < 1.5)))


def test_sites_know_the_bound_of_what_they_read() -> None:
    sites, _ = analyse(captured(Twice(), X), pact=True)
    assert {site.name: site.input_clip for site in sites} == {
        "conv": "",
        "fc": "act.pact_alpha",
        "out": "pact_alpha",
    }
    assert [bool(site.input_nonnegative) for site in sites] == [False, True, True]


def test_a_model_without_relu_is_told() -> None:
    _, context = analyse(captured(nn.Sequential(nn.Linear(4, 2), nn.GELU()), torch.zeros(2, 4)), pact=True)
    assert any("no ReLU" in str(note) for note in context.log.notes)


def test_it_is_in_the_pipeline_before_sites_are_found() -> None:
    names = [step.__name__ for step in DEFAULT_PIPELINE]
    assert names.index("insert_pact") < names.index("find_sites") < names.index("trace_clips")
