"""The optimiser and the schedule of the learning rate: timm's, by its names."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import torch
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from torch import Tensor, nn
from torch.optim import Optimizer

from asim_fx.errors import UsageError
from asim_fx.models.library import first_line
from asim_fx.training.optimizer_state import pack_state, unpack_state
from asim_fx.training.recipe import TrainingRecipe

_CREATION_ERRORS = (AssertionError, ImportError, RuntimeError, TypeError, ValueError)
_EXAMPLES = "for example sgd, adamw, lamb or lion"


def create_optimizer(module: nn.Module, recipe: TrainingRecipe) -> Optimizer:
    """Return the optimiser of a module's parameters.

    timm takes weight decay from biases, norms and bounds: from all that has one dimension or none.

    Raises:
        UsageError: timm has no such optimiser, it does not run here, or a run with it could not be resumed.
    """
    try:
        optimizer = _create(module, recipe)
    except _CREATION_ERRORS as error:
        message = f"--opt {recipe.opt}: {first_line(error)}"
        raise UsageError(message, hint=_EXAMPLES) from error
    if getattr(optimizer, "is_second_order", False):
        message = f"--opt {recipe.opt} needs second derivatives, which training does not compute"
        raise UsageError(message, hint=_EXAMPLES)
    device = next((parameter.device for parameter in module.parameters()), torch.device("cpu"))
    try:
        same = _survives_saving(recipe, device)
    except Exception as error:  # whatever an optimiser raises when it is used
        message = f"--opt {recipe.opt} cannot be used: {first_line(error)}"
        raise UsageError(message, hint=_EXAMPLES) from error
    if not same:
        message = f"--opt {recipe.opt} keeps state that a checkpoint cannot hold"
        raise UsageError(message, hint=_EXAMPLES)
    return optimizer


def create_scheduler(optimizer: Optimizer, recipe: TrainingRecipe, updates: int) -> Any:
    """Return timm's schedule of the learning rate, which is told the number of updates that are done.

    Args:
        optimizer: its learning rate is set.
        recipe: the settings.
        updates: of an epoch.

    Raises:
        UsageError: timm has no such schedule.
    """
    decays = list(recipe.decay_epochs)
    try:
        scheduler, _ = create_scheduler_v2(
            optimizer,
            sched="constant" if recipe.sched == "none" else recipe.sched,
            num_epochs=recipe.epochs,
            warmup_epochs=recipe.warmup_epochs,
            warmup_lr=recipe.lr / 100 if recipe.warmup_lr is None else recipe.warmup_lr,
            decay_epochs=decays[0] if len(decays) == 1 else None,
            decay_milestones=decays,
            decay_rate=recipe.decay_rate,
            min_lr=recipe.min_lr,
            step_on_epochs=False,
            updates_per_epoch=updates,
        )
    except (AssertionError, ValueError) as error:
        message = f"--sched {recipe.sched}: {first_line(error)}"
        raise UsageError(message, hint="for example cosine, poly, step with --decay-epochs, or none") from error
    return scheduler


def _create(module: nn.Module, recipe: TrainingRecipe) -> Optimizer:
    optimizer: Optimizer = create_optimizer_v2(
        module, opt=recipe.opt, lr=recipe.lr, weight_decay=recipe.weight_decay, momentum=recipe.momentum
    )
    return optimizer


def _survives_saving(recipe: TrainingRecipe, device: torch.device) -> bool:
    """Return whether an optimiser goes on to the same weights after its state was saved and read, on a tiny model.

    Raises:
        Exception: the optimiser does not work, or its state cannot be saved.
    """
    recipe = replace(recipe, lr=1e-3, weight_decay=0.01)  # whatever was asked for, nothing explodes here
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        one = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Linear(2, 3)).to(device)
        whole = _create(one, recipe)
        _take_steps(one, whole, range(4))
        other = copy.deepcopy(one)
        resumed = _create(other, recipe)
        tensors, plain = pack_state(whole)
        unpack_state(resumed, {name: tensor.clone() for name, tensor in tensors.items()}, copy.deepcopy(plain))
        for module, optimizer in ((one, whole), (other, resumed)):
            _take_steps(module, optimizer, range(4, 8))  # Lookahead does something else at every sixth step
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def _take_steps(module: nn.Module, optimizer: Optimizer, numbers: Iterable[int]) -> None:
    for number in numbers:
        torch.manual_seed(number)
        for parameter in module.parameters():
            gradient: Tensor = torch.randn(parameter.shape)
            parameter.grad = gradient.to(parameter.device)
        optimizer.step()
