"""Answers do not depend on who gives them, and the model is left as it was."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from asim_fx.errors import DataError
from asim_fx.sharding import Shard
from asim_fx.training.evaluation import Answers, evaluate

from .helper import form, source, tiny_images

CPU = torch.device("cpu")


class Together(Shard):
    """One of two processes, given what the other one found."""

    def __init__(self, rank: int, others: list[Any]) -> None:
        super().__init__(rank, 2)
        object.__setattr__(self, "others", others)

    def gather(self, value: Any) -> list[Any]:
        return [value, self.others.pop(0)]


class Listening(Shard):
    """Notes what a process tells the others."""

    def __init__(self, rank: int) -> None:
        super().__init__(rank, 2)
        object.__setattr__(self, "told", [])

    def gather(self, value: Any) -> list[Any]:
        self.told.append(value)
        return [value]


def answers(shard: Shard | None = None) -> Answers:
    options = {} if shard is None else {"shard": shard}
    return evaluate(form(), source(tiny_images()), "hardware", device=CPU, seed=3, **options)


def test_two_processes_answer_as_one() -> None:
    """48 images in three batches: the leading process has two of them."""
    second = Listening(1)
    answers(second)
    assert answers(Together(0, second.told)) == answers()


def test_the_seed_is_that_of_the_noise() -> None:
    data = source(tiny_images())
    one, other, same = (evaluate(form(), data, "hardware", device=CPU, seed=seed) for seed in (3, 4, 3))
    assert one == same
    assert one.confidence != other.confidence


def test_mode_and_fidelities_stay() -> None:
    net = form().train()
    first, *rest = net.sites().values()
    first.fidelity = "float"
    for site in rest:
        site.fidelity = "proxy"
    evaluate(net, source(tiny_images()), "hardware", device=CPU)
    assert net.training
    assert [site.fidelity for site in net.sites().values()] == ["float", *["proxy"] * len(rest)]
    broken = tiny_images()
    broken.images[0] = float("nan")
    with pytest.raises(Exception, match="NaN"):
        evaluate(net, source(broken), "hardware", device=CPU)
    assert [site.fidelity for site in net.sites().values()] == ["float", *["proxy"] * len(rest)]


def test_no_images_are_no_answers() -> None:
    with pytest.raises(DataError, match="there are no images"):
        evaluate(form(), replace(source(tiny_images()), samples=0), "float", device=CPU)
