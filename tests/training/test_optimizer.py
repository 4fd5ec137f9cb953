"""Which optimisers and schedules are taken."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from asim_fx.errors import UsageError
from asim_fx.training import optimizer
from asim_fx.training.optimizer import create_optimizer, create_scheduler
from asim_fx.training.optimizer_state import pack_state

from .helper import recipe

NAMES = ["sgd", "adamw", "lamb", "adan", "lion", "lookahead_adamw", "adafactorbv"]


@pytest.mark.parametrize("name", NAMES)
def test_usual_optimisers_are_taken(name: str) -> None:
    net = nn.Linear(3, 2)
    before = torch.get_rng_state()
    found = create_optimizer(net, recipe(opt=name))
    assert torch.equal(torch.get_rng_state(), before)
    assert sum(len(group["params"]) for group in found.param_groups) == 2


def test_biases_do_not_decay() -> None:
    groups = create_optimizer(nn.Linear(3, 2), recipe(weight_decay=0.5)).param_groups
    assert {group["params"][0].ndim: group["weight_decay"] for group in groups} == {1: 0.0, 2: 0.5}


@pytest.mark.parametrize(("name", "words"), [("nonesuch", "--opt nonesuch"), ("adahessian", "second derivatives")])
def test_others_are_refused(name: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        create_optimizer(nn.Linear(3, 2), recipe(opt=name))


class Listing(torch.optim.SGD):
    """Keeps what a checkpoint cannot hold."""

    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            for parameter in group["params"]:
                self.state[parameter]["seen"] = [parameter]
        return super().step(closure)


class Forgetful(torch.optim.SGD):
    """Its steps depend on a number that is no part of its state."""

    steps = 0

    def step(self, closure: Any = None) -> Any:
        self.steps += 1
        for group in self.param_groups:
            group["lr"] = 0.1 / self.steps
        return super().step(closure)


@pytest.mark.parametrize(
    ("kind", "words"),
    [(Listing, "a checkpoint cannot hold its 'seen', which is a list"), (Forgetful, "keeps state that a checkpoint")],
)
def test_those_that_cannot_be_resumed_are_refused(
    monkeypatch: pytest.MonkeyPatch, kind: type[torch.optim.SGD], words: str
) -> None:
    monkeypatch.setattr(optimizer, "create_optimizer_v2", lambda module, **_: kind(module.parameters(), lr=0.1))
    with pytest.raises(UsageError, match=words):
        create_optimizer(nn.Linear(3, 2), recipe())


def test_scalars_of_groups_are_state_and_settings_are_not() -> None:
    net = nn.Linear(3, 2)
    found = create_optimizer(net, recipe(opt="lamb"))
    net(torch.randn(4, 3)).sum().backward()
    found.step()
    tensors, plain = pack_state(found)
    assert tensors["groups.0.step"] == 1
    assert plain["groups"]["0"]["eps"] == 1e-6
    assert "lr" not in plain["groups"]["0"]
    assert "betas" not in plain["groups"]["0"]
    assert "state.0.exp_avg" in tensors


def test_the_schedule_warms_up_and_ends() -> None:
    settings = recipe(epochs=4, warmup_epochs=1, lr=0.1, min_lr=0.001)
    found = create_optimizer(nn.Linear(3, 2), settings)
    schedule = create_scheduler(found, settings, 10)
    rates = []
    for done in range(40):
        schedule.step_update(done)
        rates.append(found.param_groups[0]["lr"])
    assert rates[0] == pytest.approx(0.001)
    assert max(rates) == pytest.approx(0.1, rel=0.2)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(0.001, rel=0.5)
    with pytest.raises(UsageError, match="--sched nonesuch"):
        create_scheduler(found, recipe(sched="nonesuch"), 10)


def test_a_rate_at_which_everything_explodes_is_no_fault_of_the_optimiser() -> None:
    create_optimizer(nn.Linear(3, 2), recipe(opt="sgd", lr=1e25, weight_decay=1e25))


def rates(epochs: int, **settings: Any) -> list[float]:
    """Return the learning rate of each of ten updates of every epoch."""
    found = create_optimizer(nn.Linear(3, 2), recipe(epochs=epochs, lr=0.1, **settings))
    schedule, seen = create_scheduler(found, recipe(epochs=epochs, lr=0.1, **settings), 10), []
    for done in range(10 * epochs):
        schedule.step_update(done)
        seen.append(found.param_groups[0]["lr"])
    return seen


def test_steps_decay_when_and_by_how_much_is_asked_for() -> None:
    assert rates(5, sched="step", decay_epochs=(2,), decay_rate=0.5)[::10] == pytest.approx(
        [0.1, 0.1, 0.05, 0.05, 0.025]
    )
    assert rates(4, sched="multistep", decay_epochs=(1, 3))[5::10] == pytest.approx([0.1, 0.01, 0.01, 0.001])


def test_the_warm_up_starts_where_it_is_asked_to() -> None:
    assert rates(3, warmup_epochs=1, warmup_lr=0.02)[0] == pytest.approx(0.02)
