"""The loss, and the mixing of images that belongs to it: timm's own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from timm.data import Mixup
from timm.data.mixup import mixup_target
from timm.loss import BinaryCrossEntropy, LabelSmoothingCrossEntropy, SoftTargetCrossEntropy
from torch import Tensor

from asim_fx.training.order import draw_seed
from asim_fx.training.recipe import TrainingRecipe

Criterion = Callable[[Tensor, Tensor], Tensor]


def criterion_for(recipe: TrainingRecipe) -> Criterion:
    """Return the mean loss of scores (batch, classes) for targets: classes, or shares where images are mixed."""
    if recipe.loss == "bce":
        criterion: Criterion = BinaryCrossEntropy(smoothing=0.0 if mixes(recipe) else recipe.smoothing)
    elif mixes(recipe):
        criterion = SoftTargetCrossEntropy()
    elif recipe.smoothing:
        criterion = LabelSmoothingCrossEntropy(recipe.smoothing)
    else:
        criterion = F.cross_entropy
    return criterion


def mix(images: Tensor, labels: Tensor, classes: int, recipe: TrainingRecipe, seed: int) -> tuple[Tensor, Tensor]:
    """Return mixed images and their targets, the same for the same seed; both unchanged where nothing is mixed.

    Images are mixed in pairs. The last one of an odd number stays as it is, and its target is smoothed.

    Args:
        images: (n, C, H, W).
        labels: int64 (n,).
        classes: outputs of the model.
        recipe: the settings.
        seed: of the draws.

    Returns:
        images of the same shape; targets float (n, classes), or the labels.
    """
    if not mixes(recipe):
        return images, labels
    paired = len(images) - len(images) % 2
    rest = mixup_target(labels[paired:], classes, 1.0, recipe.smoothing)
    if not paired:
        return images, rest
    mixer = Mixup(
        mixup_alpha=recipe.mixup, cutmix_alpha=recipe.cutmix, label_smoothing=recipe.smoothing, num_classes=classes
    )
    before = np.random.get_state()
    np.random.seed(draw_seed(seed) % 2**32)
    try:
        mixed, targets = mixer(images[:paired].clone(), labels[:paired])
    finally:
        np.random.set_state(before)
    return torch.cat([mixed, images[paired:]]), torch.cat([targets, rest])


def mixes(recipe: TrainingRecipe) -> bool:
    """Return whether images are mixed, so that a target is no single class."""
    return recipe.mixup > 0 or recipe.cutmix > 0
