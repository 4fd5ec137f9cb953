from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from benchmarks.train_digits import RECIPES, NoisyProducts, accuracy, augment, tensors, train


@pytest.mark.parametrize("name", RECIPES)
def test_a_few_epochs_learn_and_the_seed_decides(name: str) -> None:
    short = replace(RECIPES[name], epochs=2, warmup_epochs=1)
    with torch.random.fork_rng(devices=[]):
        one, same = train(short), train(short)
    assert accuracy(one, "test") > 0.15  # chance is 0.1 with a standard error of 0.016
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))


def test_augmentation_moves_digits_a_little() -> None:
    images, _ = tensors("train")
    recipe = RECIPES["digits_resnet"]
    moved = augment(images, recipe, torch.Generator().manual_seed(0))
    assert moved.shape == images.shape
    assert 0.02 < (moved - images).abs().mean() < 0.25
    still = augment(images, replace(recipe, rotation_degrees=0, shift_pixels=0), torch.Generator())
    torch.testing.assert_close(still, images, atol=1e-5, rtol=0)


def test_noise_is_a_share_of_the_operands_largest_values() -> None:
    torch.manual_seed(0)
    x, w = torch.zeros(4000, 3), torch.zeros(5, 3)
    x[0, 0], w[0, 0] = 4.0, -0.5
    with NoisyProducts(0.1):
        noise = torch.nn.functional.linear(x, w) - x @ w.T.clone()
    # Both products are noisy: the difference has sqrt(2) times the spread of one. 20,000 values: 0.5 % standard error.
    assert noise.std() == pytest.approx(2**0.5 * 0.1 * 4 * 0.5, rel=0.03)
