"""CimRecurrence: one array that every time step reads."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from asim_fx.graph.recurrence import CELLS
from asim_fx.ir import BatchLayout
from asim_fx.nn import CimRecurrence
from asim_fx.ops.config import OpConfig
from tests.ops.configs import make_config

RNG = torch.tensor([1, 0])
STEPS = 3


def draw(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(len(shape)))


def recurrent_gates(config: OpConfig, monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """Return the recurrent gates of every step for a hidden state that stays the same."""
    monkeypatch.setitem(
        CELLS, "probe", lambda given, recurrent, hidden, state: (hidden, torch.cat([state, recurrent], -1))
    )
    module = CimRecurrence(config, "probe", False)
    collected = module(draw(2, 6), draw(4, 6), None, torch.zeros(STEPS, 2, 4), torch.zeros(2, 0), RNG)[2]
    return list(collected.chunk(STEPS, -1))


def test_all_steps_read_the_same_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    ideal = recurrent_gates(make_config(signed=True), monkeypatch)
    varied = recurrent_gates(make_config(signed=True, cell_variation_percent=10.0), monkeypatch)
    assert not torch.equal(varied[0], ideal[0])
    assert torch.equal(varied[0], varied[1])
    assert torch.equal(varied[0], varied[2])


def test_every_step_draws_noise_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    noisy = recurrent_gates(make_config(signed=True, adc_bits=6, random_percent_fs=5.0), monkeypatch)
    assert not torch.equal(noisy[0], noisy[1])
    assert not torch.equal(noisy[1], noisy[2])


def operands() -> tuple[Tensor, ...]:
    return draw(2, 5), draw(20, 5), draw(20), draw(STEPS, 2, 20), draw(2, 5)


@pytest.mark.parametrize("reverse", [False, True])
def test_float_is_the_torch_form(reverse: bool) -> None:
    module = CimRecurrence(make_config(signed=True), "lstm", reverse)
    module.fidelity = "float"
    expected = torch.ops.asim.recurrence(*operands(), "lstm", reverse)
    for one, other in zip(module(*operands(), RNG), expected, strict=True):
        assert torch.equal(one, other)


def test_samples_draw_the_same_in_any_batch() -> None:
    config = make_config(signed=True, adc_bits=6, random_percent_fs=5.0, scale="static", layout=BatchLayout(20, 20))
    module = CimRecurrence(config, "lstm", False)
    module.input_scale.fill_(1.0)
    hidden, weight, bias, gates, state = operands()
    whole = module(hidden, weight, bias, gates, state, RNG)[0]
    second = torch.tensor([1, 1])
    alone = module(hidden[1:], weight, bias, gates[:, 1:], state[1:], second)[0]
    torch.testing.assert_close(alone, whole[:, 1:], rtol=1e-6, atol=1e-6)


def test_calibration_sees_the_states_of_all_steps() -> None:
    module = CimRecurrence(make_config(signed=True, scale="static"), "relu", False)
    seen: list[Tensor] = []
    module.observer, module.fidelity = lambda streamed, _stored, _clip: seen.append(streamed), "float"
    hidden, gates = torch.zeros(1, 2), torch.tensor([[[1.0, 2.0]], [[5.0, 0.0]], [[9.0, 9.0]]])
    module(hidden, torch.zeros(2, 2), None, gates, None, RNG)
    assert max(float(state.max()) for state in seen) == 5.0  # the last state is not streamed again


def test_it_copies_differentiates_and_exports() -> None:
    module = CimRecurrence(make_config(signed=True), "gru", True)
    hidden, weight, bias, gates = draw(2, 5), draw(15, 5).requires_grad_(), draw(15), draw(STEPS, 2, 15)
    expected = module(hidden, weight, bias, gates, None, RNG)[0]
    assert torch.equal(copy.deepcopy(module)(hidden, weight, bias, gates, None, RNG)[0], expected)
    expected.sum().backward()
    assert weight.grad is not None
    assert bool(weight.grad.any())
    args = (hidden, weight.detach(), bias, gates, None, RNG)
    assert torch.equal(torch.export.export(module, args).module()(*args)[0], expected)
