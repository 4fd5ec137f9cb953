"""The loss, and the mixing of images that belongs to it: timm's own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from timm.data import Mixup
from timm.loss import BinaryCrossEntropy, LabelSmoothingCrossEntropy, SoftTargetCrossEntropy
from torch import Tensor

from asim_fx.training.order import draw_seed
from asim_fx.training.recipe import TrainingRecipe

Criterion = Callable[[Tensor, Tensor], Tensor]


def criterion_for(recipe: TrainingRecipe) -> Criterion:
    """Return the mean loss of scores (batch, classes) for targets: classes, or shares where images are mixed."""
    if recipe.loss == "bce":
        criterion: Criterion = BinaryCrossEntropy(smoothing=0.0 if _mixes(recipe) else recipe.smoothing)
    elif _mixes(recipe):
        criterion = SoftTargetCrossEntropy()
    elif recipe.smoothing:
        criterion = LabelSmoothingCrossEntropy(recipe.smoothing)
    else:
        criterion = F.cross_entropy
    return criterion


def mix(images: Tensor, labels: Tensor, classes: int, recipe: TrainingRecipe, seed: int) -> tuple[Tensor, Tensor]:
    """Return mixed images and their targets, the same for the same seed; both unchanged where nothing is mixed."""
    if not _mixes(recipe) or len(images) % 2:
        return images, F.one_hot(labels, classes).to(images.dtype) if _mixes(recipe) else labels
    mixer = Mixup(
        mixup_alpha=recipe.mixup, cutmix_alpha=recipe.cutmix, label_smoothing=recipe.smoothing, num_classes=classes
    )
    before = np.random.get_state()
    np.random.seed(draw_seed(seed) % 2**32)
    try:
        mixed, targets = mixer(images.clone(), labels)
    finally:
        np.random.set_state(before)
    return mixed, torch.as_tensor(targets, device=images.device)


def _mixes(recipe: TrainingRecipe) -> bool:
    return recipe.mixup > 0 or recipe.cutmix > 0
