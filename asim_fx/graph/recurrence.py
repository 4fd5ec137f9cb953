"""A recurrent layer as an operation of its own: one matrix that every time step multiplies by the state before it.

``asim::recurrence`` is one direction of one layer, its input products already done. The matrix is one site, whatever
the length of the sequence. It is composite: it runs, differentiates and exports as the torch operations it is made of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

State = Tensor | None
Cell = Callable[[Tensor, Tensor, Tensor, State], tuple[Tensor, State]]
"""(input gates, recurrent gates, hidden state, cell state) -> (hidden state, cell state)."""


def _lstm(given: Tensor, recurrent: Tensor, hidden: Tensor, state: State) -> tuple[Tensor, State]:
    enter, forget, candidate, leave = (given + recurrent).chunk(4, -1)
    assert state is not None
    state = torch.sigmoid(forget) * state + torch.sigmoid(enter) * torch.tanh(candidate)
    return torch.sigmoid(leave) * torch.tanh(state), state


def _gru(given: Tensor, recurrent: Tensor, hidden: Tensor, state: State) -> tuple[Tensor, State]:
    given_reset, given_update, given_new = given.chunk(3, -1)
    reset, update, new = recurrent.chunk(3, -1)
    new = torch.tanh(given_new + torch.sigmoid(given_reset + reset) * new)
    return new + torch.sigmoid(given_update + update) * (hidden - new), None


def _tanh(given: Tensor, recurrent: Tensor, hidden: Tensor, state: State) -> tuple[Tensor, State]:
    return torch.tanh(given + recurrent), None


def _relu(given: Tensor, recurrent: Tensor, hidden: Tensor, state: State) -> tuple[Tensor, State]:
    return torch.relu(given + recurrent), None


CELLS: dict[str, Cell] = {"lstm": _lstm, "gru": _gru, "tanh": _tanh, "relu": _relu}
"""What one step computes from its gates, by the name that the operation takes; torch's own order of the gates."""


def run_steps(
    multiply: Callable[[Tensor, int], Tensor], hidden: Tensor, gates: Tensor, state: State, cell: str, reverse: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Run all time steps of one direction of one layer.

    Args:
        multiply: gives the recurrent gates of a hidden state, bias included, at a step.
        hidden: the state before the first step, (rows, H).
        gates: the input's part of the gates, (steps, rows, G), bias included.
        state: the cell state before the first step, (rows, H); None where the cell has none.
        cell: a key of ``CELLS``.
        reverse: whether the last step comes first.

    Returns:
        the hidden state after each step, (steps, rows, H), in the order of ``gates``; the last one; the last cell
        state, or an empty tensor.
    """
    steps = range(gates.shape[0])
    outputs: dict[int, Tensor] = {}
    for step in reversed(steps) if reverse else steps:
        hidden, state = CELLS[cell](gates[step], multiply(hidden, step), hidden, state)
        outputs[step] = hidden
    return torch.stack([outputs[step] for step in steps]), hidden, hidden.new_empty(0) if state is None else state


def _recurrence(
    hidden: Tensor, weight: Tensor, bias: Tensor | None, gates: Tensor, state: Tensor | None, cell: str, reverse: bool
) -> tuple[Tensor, Tensor, Tensor]:
    def multiply(value: Tensor, _: int) -> Tensor:
        return torch.nn.functional.linear(value, weight, bias)

    return run_steps(multiply, hidden, gates, state, cell, reverse)


torch.library.define(
    "asim::recurrence",
    "(Tensor hidden, Tensor weight, Tensor? bias, Tensor gates, Tensor? state, str cell, bool reverse)"
    " -> (Tensor, Tensor, Tensor)",
)
torch.library.impl("asim::recurrence", "CompositeImplicitAutograd")(_recurrence)

RECURRENCE = torch.ops.asim.recurrence
"""The operation, as ``packet_of`` gives it. Operands: hidden state, weight, bias, gates, cell state."""


def recurrence_sizes(gates: Sequence[int | torch.SymInt]) -> tuple[int, int]:
    """Return the number of steps and the width of the gates, from the shape of the gates."""
    return int(gates[0]), int(gates[-1])
