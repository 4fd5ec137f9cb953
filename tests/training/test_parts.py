"""Vectors of parts."""

from __future__ import annotations

import torch

from asim_fx.training.parts import flatten, sum_of_parts, unflatten

from .helper import cpu


def test_there_and_back() -> None:
    tensors = [torch.randn(2, 3), torch.randn(()), torch.randn(4)]
    found = unflatten(flatten(tensors, tensors), tensors)
    assert all(torch.equal(a, b) for a, b in zip(found, tensors, strict=True))


def test_what_is_missing_takes_its_room() -> None:
    like = [torch.ones(2), torch.ones(3)]
    assert flatten([None, like[1]], like).tolist() == [0, 0, 1, 1, 1]


def test_parts_are_added_in_their_order() -> None:
    """In float32 the order counts: 1e8 takes a 1 that is added to it."""
    vectors = [torch.tensor([value]) for value in (1e8, 1.0, -1e8)]
    assert sum_of_parts(cpu(), vectors).tolist() == [0.0]
