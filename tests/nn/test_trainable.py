"""What the training graph calls: dropout of whole samples, and bounds behind dropout."""

from __future__ import annotations

import pytest
import torch

from asim_fx.nn.trainable import DropPath, ScaledBound

X = torch.full((4000, 2, 3), 2.0)


def rows(path: DropPath) -> torch.Tensor:
    """Return the result, (samples, 6), in training."""
    torch.manual_seed(0)
    return path.train()(X).flatten(1)


def test_each_sample_is_dropped_on_its_own_and_the_mean_is_kept() -> None:
    found = rows(DropPath(0.25))
    assert sorted(found.unique().tolist()) == pytest.approx([0.0, 2 / 0.75])
    assert torch.equal(found.amin(1), found.amax(1))  # a sample is dropped as a whole
    assert (found[:, 0] == 0).float().mean().item() == pytest.approx(0.25, abs=0.03)  # standard error 0.007


def test_one_draw_can_decide_for_the_whole_batch() -> None:
    path = DropPath(0.5, by_sample=False).train()
    torch.manual_seed(0)
    found = [path(X).unique().tolist() for _ in range(20)]
    assert all(len(values) == 1 for values in found)
    assert {values[0] for values in found} == {0.0, 4.0}


def test_what_is_kept_need_not_be_scaled() -> None:
    assert set(rows(DropPath(0.25, scaled=False)).unique().tolist()) == {0.0, 2.0}


def test_everything_can_be_dropped() -> None:
    assert not rows(DropPath(1.0)).any()


def test_at_inference_it_does_nothing() -> None:
    assert DropPath(0.5).eval()(X) is X


def test_a_bound_is_scaled_in_training_only() -> None:
    bound = torch.tensor(3.0)
    assert ScaledBound(0.5).train()(bound) == 6
    assert ScaledBound(0.5).eval()(bound) == 3
