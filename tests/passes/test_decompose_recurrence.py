"""decompose_recurrence: recurrent layers become linears and recurrences that compute the same."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from asim_fx.passes import decompose_recurrence

from .helper import analyse, captured, check_passes

SEQUENCE = torch.zeros(2, 6, 8)


class Outputs(nn.Module):
    """Gives everything that a recurrent layer gives."""

    def __init__(self, rnn: nn.Module) -> None:
        super().__init__()
        self.rnn = rnn

    def forward(self, x: Tensor) -> list[Tensor]:
        output, states = self.rnn(x if self.rnn.batch_first else x.transpose(0, 1))
        return [output, *(states if isinstance(states, tuple) else (states,))]


LAYERS = {
    "lstm": nn.LSTM(8, 5, batch_first=True),
    "gru": nn.GRU(8, 5, batch_first=True),
    "rnn_tanh": nn.RNN(8, 5, batch_first=True),
    "rnn_relu": nn.RNN(8, 5, batch_first=True, nonlinearity="relu"),
}


@pytest.mark.parametrize("name", LAYERS)
def test_one_layer(name: str) -> None:
    after = {name: 0, "linear": 1, "recurrence": 1}
    check_passes(Outputs(LAYERS[name]), (SEQUENCE,), [decompose_recurrence], before={name: 1}, after=after)


@pytest.mark.parametrize("name", ["lstm", "gru"])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_layers_in_both_directions(name: str, batch_first: bool, bias: bool) -> None:
    made = {"lstm": nn.LSTM, "gru": nn.GRU}[name](8, 5, 2, bias, batch_first, dropout=0.5, bidirectional=True)
    after = {name: 0, "linear": 4, "recurrence": 4}
    check_passes(Outputs(made), (SEQUENCE,), [decompose_recurrence], before={name: 1}, after=after)


class GivenState(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(8, 5, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        state = x.mean(1)[None, :, :5]
        return self.rnn(x, (state, state * 2))[0]


def test_initial_states_are_used() -> None:
    check_passes(GivenState(), (SEQUENCE,), [decompose_recurrence], before={"lstm": 1}, after={"recurrence": 1})


class Loop(nn.Module):
    """A cell that the user steps by hand, here three times."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor) -> Tensor:
        hidden = x.new_zeros(x.shape[0], 5)
        state = (hidden, hidden)
        for step in range(3):
            state = self.cell(x[:, step], state if isinstance(self.cell, nn.LSTMCell) else state[0])
            state = state if isinstance(state, tuple) else (state,)
        return torch.cat(state, -1)


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("lstm_cell", nn.LSTMCell(8, 5)),
        ("gru_cell", nn.GRUCell(8, 5, bias=False)),
        ("rnn_tanh_cell", nn.RNNCell(8, 5)),
        ("rnn_relu_cell", nn.RNNCell(8, 5, nonlinearity="relu")),
    ],
)
def test_cells(name: str, cell: nn.Module) -> None:
    after = {name: 0, "linear": 3, "recurrence": 3}
    check_passes(Loop(cell), (SEQUENCE,), [decompose_recurrence], before={name: 3}, after=after)


def test_sites_are_named_by_their_weights_and_repeat_for_every_step() -> None:
    model = Outputs(nn.LSTM(8, 5, bidirectional=True, batch_first=True))
    sites, _ = analyse(captured(model, SEQUENCE))
    found = {site.name: (site.k, site.n, site.vectors, site.macs) for site in sites}
    assert found == {
        "rnn.weight_ih_l0": (8, 20, 6, 6 * 8 * 20),
        "rnn.weight_hh_l0": (5, 20, 6, 6 * 5 * 20),
        "rnn.weight_ih_l0_reverse": (8, 20, 6, 6 * 8 * 20),
        "rnn.weight_hh_l0_reverse": (5, 20, 6, 6 * 5 * 20),
    }
    assert not any(site.unsupported for site in sites)


def test_the_cells_of_a_loop_are_calls_of_one_site() -> None:
    sites, _ = analyse(captured(Loop(nn.LSTMCell(8, 5)), SEQUENCE))
    assert [site.label for site in sites if site.name == "cell.weight_hh"] == [
        "cell.weight_hh", "cell.weight_hh@1", "cell.weight_hh@2",
    ]  # fmt: skip


@pytest.mark.parametrize("rnn", [nn.RNN(8, 5, batch_first=True, nonlinearity="relu"), nn.LSTM(8, 5, batch_first=True)])
def test_only_a_relu_proves_hidden_states_nonnegative(rnn: nn.Module) -> None:
    """The first state is a constant zero, and so non-negative; what follows decides."""
    sites, _ = analyse(captured(Outputs(rnn), SEQUENCE))
    proven = bool(next(site for site in sites if site.name == "rnn.weight_hh_l0").input_nonnegative)
    assert proven == isinstance(rnn, nn.RNN)


def test_a_projected_state_stays_with_its_reason() -> None:
    model = Outputs(nn.LSTM(8, 5, proj_size=3, batch_first=True))
    sites, _ = analyse(captured(model, SEQUENCE))
    assert [site.name for site in sites] == ["rnn"]
    assert "projections" in sites[0].unsupported
