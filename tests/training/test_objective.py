"""Losses and mixed targets."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from asim_fx.training.objective import criterion_for, mix

from .helper import recipe

SCORES = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 2, 0, 1, 2])
IMAGES = torch.arange(6.0).view(6, 1, 1, 1).expand(6, 1, 4, 4)


def test_the_plain_loss_is_cross_entropy() -> None:
    assert criterion_for(recipe())(SCORES, LABELS) == F.cross_entropy(SCORES, LABELS)


def test_smoothing_spreads_a_share_over_all_classes() -> None:
    expected = F.cross_entropy(SCORES, LABELS, label_smoothing=0.3)
    torch.testing.assert_close(criterion_for(recipe(smoothing=0.3))(SCORES, LABELS), expected)


def test_bce_is_on_one_hot_targets() -> None:
    expected = F.binary_cross_entropy_with_logits(SCORES, F.one_hot(LABELS, 3).float())
    torch.testing.assert_close(criterion_for(recipe(loss="bce"))(SCORES, LABELS), expected)


@pytest.mark.parametrize("loss", ["cross-entropy", "bce"])
def test_mixed_targets_are_smoothed_once(loss: str) -> None:
    settings = recipe(loss=loss, mixup=0.4, smoothing=0.3)
    _, targets = mix(IMAGES, LABELS, 3, settings, 1)
    shares = F.cross_entropy if loss == "cross-entropy" else F.binary_cross_entropy_with_logits
    torch.testing.assert_close(criterion_for(settings)(SCORES, targets), shares(SCORES, targets))


def test_nothing_is_mixed_unless_asked() -> None:
    images, labels = mix(IMAGES, LABELS, 3, recipe(), 1)
    assert images is IMAGES
    assert labels is LABELS


def test_images_and_targets_are_mixed_alike() -> None:
    images, targets = mix(IMAGES, LABELS, 6, recipe(mixup=1.0), 1)
    share = (images[0, 0, 0, 0] / 5).item()  # image 0 is mixed with image 5
    assert 0 < share < 1
    expected = (1 - share) * F.one_hot(LABELS, 6) + share * F.one_hot(LABELS.flip(0), 6)
    torch.testing.assert_close(targets, expected)


@pytest.mark.parametrize("count", [1, 5])
def test_the_last_of_an_odd_number_is_smoothed_and_not_mixed(count: int) -> None:
    settings = recipe(mixup=1.0, smoothing=0.3)
    images, targets = mix(IMAGES[:count], LABELS[:count], 3, settings, 1)
    assert images.shape == (count, 1, 4, 4)
    assert torch.equal(images[-1], IMAGES[count - 1])
    expected = torch.full((3,), 0.1)
    expected[LABELS[count - 1]] = 0.8
    torch.testing.assert_close(targets[-1], expected)
    if count > 1:
        even = mix(IMAGES[: count - 1], LABELS[: count - 1], 3, settings, 1)
        assert torch.equal(images[:-1], even[0])
        assert torch.equal(targets[:-1], even[1])
        assert not torch.equal(images, IMAGES[:count])


def test_a_seed_draws_the_same_and_leaves_numpy_alone() -> None:
    settings = recipe(mixup=1.0)
    before = np.random.get_state()[1].tolist()
    one, other, third = (mix(IMAGES, LABELS, 3, settings, seed)[1] for seed in (1, 1, 2))
    assert np.random.get_state()[1].tolist() == before
    assert torch.equal(one, other)
    assert not torch.equal(one, third)
