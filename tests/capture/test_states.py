from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from asim_fx.capture import capture


class LastStates(nn.Module):
    """The last states of both directions, side by side, as classifiers of sequences take them."""

    def __init__(self, **options: int) -> None:
        super().__init__()
        self.rnn = nn.LSTM(6, 4, bidirectional=True, batch_first=True, **options)
        self.head = nn.Linear(2 * options.get("proj_size", 4) + 8, 3)

    def forward(self, x: Tensor) -> Tensor:
        _, (hidden, state) = self.rnn(x)
        return self.head(torch.cat([hidden[-2], hidden[-1], state.transpose(0, 1)[:, -2:].flatten(1)], 1))


@pytest.mark.parametrize("options", [{}, {"num_layers": 2}, {"proj_size": 3}], ids=str)
def test_last_states_are_captured_with_the_shapes_they_have(options: dict[str, int]) -> None:
    model = LastStates(**options).eval()
    graph_module = capture(model, torch.randn(2, 5, 6)).graph_module
    x = torch.randn(3, 5, 6)
    assert torch.allclose(graph_module(x), model(x), atol=1e-5)
