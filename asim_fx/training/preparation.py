"""What happens once before the first update: trim noise is measured, optimiser and loss are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from lightning_fabric import Fabric
from timm.utils import ModelEmaV3
from torch import Tensor

from asim_fx.converted import ConvertedModel
from asim_fx.errors import DataError, UsageError
from asim_fx.nn import Fidelity
from asim_fx.training.checkpoint import TrainingState
from asim_fx.training.noise import set_trim_noise
from asim_fx.training.objective import criterion_for
from asim_fx.training.optimizer import create_optimizer
from asim_fx.training.recipe import Mode, TrainingRecipe
from asim_fx.training.step import Trainee, checked_scores

_FORWARD: Mapping[Mode, Fidelity] = {"float": "float", "qat": "proxy", "nat": "proxy", "hardware": "hardware"}


def with_parts(recipe: TrainingRecipe, processes: int, images: int) -> TrainingRecipe:
    """Return a recipe that says how many parts a batch has: the number of processes unless it was given.

    Raises:
        UsageError: the processes cannot share the parts.
        DataError: a batch has fewer images than parts.
    """
    parts = recipe.parts or processes
    if parts % processes:
        message = f"{parts} parts of a batch cannot be shared by {processes} processes"
        raise UsageError(message, hint="choose --parts that the number of processes divides")
    batch = min(images, recipe.batch_size)
    if batch < parts:
        message = f"a batch of {batch} images cannot be cut in {parts} parts"
        hint = "give fewer --parts or processes, a larger --batch-size, or more images"
        raise DataError(message, hint=hint)
    return replace(recipe, parts=parts)


def measure_noise(net: ConvertedModel, images: Tensor, recipe: TrainingRecipe) -> None:
    """Set the trim noise of every site, measured where the recipe does not say it; the net is then in training mode.

    Args:
        net: on its device, calibrated; changed.
        images: the first batch, on that device, the same in every process.
        recipe: the settings.
    """
    torch.manual_seed(recipe.seed)
    net.eval()
    net.set_fidelity(_FORWARD[recipe.mode])
    set_trim_noise(net, images, recipe)
    net.train()


def create_trainee(net: ConvertedModel, recipe: TrainingRecipe, fabric: Fabric) -> tuple[Trainee, TrainingState]:
    """Return what an update needs, and what a checkpoint saves.

    Raises:
        InputError: the model does not return one row of class scores for each image.
        UsageError: the optimiser cannot be had.
    """
    classes = _count_classes(net, fabric.device)
    net.set_fidelity(_FORWARD[recipe.mode])
    net.train()
    optimizer = create_optimizer(net.body, recipe)
    average = ModelEmaV3(net, decay=recipe.ema, use_warmup=True) if recipe.ema else None
    wrapped = fabric.setup_optimizers(optimizer)
    trainee = Trainee(net, wrapped, criterion_for(recipe), recipe, fabric, classes, average)
    scaler = getattr(fabric.strategy.precision, "scaler", None)
    return trainee, TrainingState(net.body, optimizer, None if average is None else average.module.body, scaler)


@torch.no_grad()
def _count_classes(net: ConvertedModel, device: torch.device) -> int:
    args, kwargs = net.signature.example()
    net.eval()
    net.set_fidelity("float")
    scores = checked_scores(net(*(arg.to(device) for arg in args), **kwargs))
    return scores.shape[1]
