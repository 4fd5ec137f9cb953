from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from asim_fx.errors import PipelineError
from asim_fx.nn import CimConv, CimLinear, CimMatmul
from asim_fx.passes.lower_sites import RNG
from asim_fx.passes.verify_graph import verify_graph
from asim_fx.pipeline import Fact
from tests.passes.helper import check_outputs_equal, make_context
from tests.passes.planning import TOKENS, Attention, planned


def test_each_site_calls_its_module_beside_its_weight() -> None:
    model = Attention()
    graph_module, _ = planned(model, (TOKENS,))
    calls = {node.target: node for node in graph_module.graph.nodes if node.op == "call_module"}
    assert list(calls) == ["qkv.cim", "qk.cim", "av.cim", "out.cim"]
    assert {type(graph_module.get_submodule(name)) for name in calls} == {CimLinear, CimMatmul}
    assert graph_module.get_submodule("qk.cim").stored_first
    assert not graph_module.get_submodule("av.cim").stored_first
    assert set(graph_module.state_dict()) == set(model.state_dict())
    assert calls["qkv.cim"].meta["custom"]["asim"] == {
        "site": "qkv",
        "kind": "linear",
        "target": "analog",
        "reads": 4 * 24 * 64,
    }


def test_float_fidelity_computes_the_model() -> None:
    model = Attention()
    graph_module, _ = planned(model, (TOKENS,))
    for module in graph_module.modules():
        if isinstance(module, CimLinear | CimMatmul):
            module.fidelity = "float"
    check_outputs_equal(model, graph_module, (TOKENS,))


def test_float_sites_stay_torch() -> None:
    graph_module, _ = planned(Attention(), (TOKENS,), "rules:\n  - {match: {name: out}, target: float}\n")
    assert not any(name.startswith("out.") for name, _ in graph_module.named_modules())
    targets = [str(node.target) for node in graph_module.graph.nodes]
    assert "aten.linear.default" in targets


def test_a_graph_without_sites_has_no_noise() -> None:
    graph_module, plans = planned(nn.ReLU(), (TOKENS,))
    assert not plans
    assert RNG not in dict(graph_module.named_buffers())


class Twice(nn.Module):
    """One convolution called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(torch.relu(self.conv(x)))


def test_a_module_called_twice_has_two_calls_with_noise_of_their_own() -> None:
    images = torch.randn(2, 2, 6, 6)
    graph_module, plans = planned(Twice(), (images,))
    assert list(plans) == ["conv", "conv@1"]
    first, second = graph_module.get_submodule("conv.cim"), graph_module.get_submodule("conv.cim_1")
    assert isinstance(first, CimConv)
    assert first.config.stream != second.config.stream
    assert (first.config.input.signed, second.config.input.signed) == (True, False)
    assert set(graph_module.state_dict()) == {"conv.weight", "conv.bias"}


def test_a_plan_that_was_not_lowered_is_found() -> None:
    graph_module, _ = planned(Attention(), (TOKENS,), until=Fact.VOTED)
    with pytest.raises(PipelineError, match="qkv is analog but is call_function"):
        verify_graph(graph_module, make_context())
