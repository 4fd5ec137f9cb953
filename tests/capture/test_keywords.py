from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from asim_fx.capture import capture


class Collecting(nn.Module):
    def forward(self, x: Tensor, *, gate: Tensor, **more: Any) -> Tensor:
        return x * gate * more["factor"] + more["shift"]


def test_collected_keywords_have_the_batch_too() -> None:
    model = Collecting()
    x, gate, shift = torch.randn(3, 4), torch.randn(3, 4), torch.randn(3, 4)
    found = capture(model, x, {"shift": shift, "gate": gate, "factor": 2})
    assert [leaf.name for leaf in found.input_signature] == ["x", "gate", "more['shift']"]
    kwargs = {**found.example_kwargs, "gate": torch.randn(5, 4), "shift": torch.randn(5, 4)}
    x = torch.randn(5, 4)
    assert torch.equal(found.graph_module(x, **kwargs), model(x, **kwargs))
    assert "forward" not in vars(model)
