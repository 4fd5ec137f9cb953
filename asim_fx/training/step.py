"""One update of the weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from timm.utils import ModelEmaV3
from torch import Tensor, nn
from torch.fx import Node
from torch.optim import Optimizer

from asim_fx.converted import ConvertedModel
from asim_fx.errors import DataError, InputError, NumericsError
from asim_fx.nn.trainable import TrainableNorm
from asim_fx.training.checkpoint import STEADIER
from asim_fx.training.form import LEAST_ALPHA, bounds_of
from asim_fx.training.objective import Criterion, mix, mixes
from asim_fx.training.order import draw_seed
from asim_fx.training.parts import flatten, sum_of_parts, unflatten
from asim_fx.training.recipe import TrainingRecipe
from asim_fx.training.update_result import UpdateResult


@dataclass(frozen=True)
class Trainee:
    """What an update needs, the same at each one.

    Attributes:
        net: in training form, on its device.
        optimizer: of its parameters, set up by ``fabric``.
        criterion: the mean loss of a part.
        recipe: the settings.
        fabric: device, precision and the other processes.
        classes: outputs of the model.
        average: moving average of the net; None where none is wanted.
    """

    net: ConvertedModel
    optimizer: Optimizer
    criterion: Criterion
    recipe: TrainingRecipe
    fabric: Fabric
    classes: int
    average: ModelEmaV3 | None = None

    @property
    def kept(self) -> ConvertedModel:
        """The model that is evaluated and kept: the average where there is one."""
        return self.net if self.average is None else self.average.module


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a batch that is computed on its own.

    Attributes:
        number: of this part among those of the batch.
        offset: images of the batch before it.
        images: float32 (n, C, H, W).
        labels: int64 (n,).
    """

    number: int
    offset: int
    images: Tensor
    labels: Tensor


def update(trainee: Trainee, parts: Sequence[Part], batch: int, step: int) -> UpdateResult:
    """Move the weights once, and return what the whole batch came to.

    Each part starts from the same running statistics. What the parts make of them is averaged, weighted by the images
    of each part. Gradients are summed in the order of the parts.

    Args:
        trainee: what is trained.
        parts: those of this process.
        batch: images of all parts of all processes.
        step: updates before this one.

    Raises:
        NumericsError: the loss is not a number, or a site meets NaN or infinity.
    """
    net, recipe, fabric = trainee.net, trainee.recipe, trainee.fabric
    weights = [parameter for parameter in net.parameters() if parameter.requires_grad]
    statistics = running_statistics(net)
    before = [tensor.clone() for tensor in statistics]
    vectors: list[Tensor] = []
    net.train()
    for part in parts:
        for tensor, start in zip(statistics, before, strict=True):
            tensor.copy_(start)
        for weight in weights:
            weight.grad = None
        share = len(part.labels) / batch
        try:
            loss, plain, right = _loss(trainee, part, step, step * recipe.batch_size)
            loss = loss * share
        except NumericsError as error:
            raise NumericsError(str(error), hint=STEADIER) from error
        fabric.backward(loss)
        moved = [tensor * share for tensor in statistics]
        told = torch.stack([loss.detach().to(torch.float32), plain * share, right])
        extra = [*moved, told]
        vectors.append(flatten([*(weight.grad for weight in weights), *extra], [*weights, *extra]))
    total = sum_of_parts(fabric, vectors)
    *values, told = unflatten(total, [*weights, *statistics, total.new_zeros(3)])
    result = UpdateResult(float(told[0]), float(told[1]), round(float(told[2])) if told[2].isfinite() else 0)
    if not math.isfinite(result.loss):
        message = f"the loss is {result.loss}"
        raise NumericsError(message, hint=STEADIER)
    for weight, gradient in zip(weights, values[: len(weights)], strict=True):
        if weight.grad is not None:  # what nothing uses has none, in any part, and weight decay must leave it alone
            weight.grad = gradient
    if len(parts) * fabric.world_size > 1:
        for tensor, mean in zip(statistics, values[len(weights) :], strict=True):
            tensor.copy_(mean)
    if recipe.clip_grad:
        fabric.clip_gradients(net, trainee.optimizer, max_norm=recipe.clip_grad, error_if_nonfinite=False)
    trainee.optimizer.step()
    for counter in batch_counters(net):
        counter.add_(1)
    with torch.no_grad():
        for bound in bounds_of(net):
            bound.clamp_(min=LEAST_ALPHA)
    if trainee.average is not None:
        trainee.average.update(net, step=step + 1)
    return result


def running_statistics(net: ConvertedModel) -> list[Tensor]:
    """Return the running mean and variance of every batch norm that keeps them up to date."""
    return [net.graph_module.get_buffer(name) for name in _names_of_statistics(net)]


def batch_counters(net: ConvertedModel) -> list[Tensor]:
    """Return the counter of batches of every batch norm whose statistics are kept up to date."""
    counters = {f"{name.rpartition('.')[0]}.num_batches_tracked".lstrip(".") for name in _names_of_statistics(net)}
    return [buffer for name, buffer in net.graph_module.named_buffers() if name in counters]


def _names_of_statistics(net: ConvertedModel) -> list[str]:
    modules: dict[str, nn.Module] = dict(net.graph_module.named_modules())
    found: dict[str, None] = {}
    for node in net.graph_module.graph.nodes:
        norm = modules.get(str(node.target)) if node.op == "call_module" else None
        if isinstance(norm, TrainableNorm) and not norm.frozen:
            found |= dict.fromkeys(str(held.target) for held in _read(node))
    return list(found)


def checked_scores(scores: Any, labels: Tensor | None = None) -> Tensor:
    """Return what a model returned if it is class scores (batch, classes), and the labels are among its classes.

    Raises:
        InputError: the model returns something else.
        DataError: an image has a label that is no class of the model.
    """
    if not isinstance(scores, Tensor) or scores.ndim != 2:
        message = "the model does not return one row of class scores for each image, so it cannot be trained here"
        raise InputError(message)
    if labels is None:
        return scores
    if int(labels.min()) < 0 or int(labels.max()) >= scores.shape[1]:
        message = f"the data has the label {int(labels.max())}; the model tells {scores.shape[1]} classes apart"
        raise DataError(message, hint="give --num-classes")
    return scores


def _read(node: Node) -> list[Node]:
    return [held for held in node.args[3:5] if isinstance(held, Node)]


def _loss(trainee: Trainee, part: Part, step: int, first_sample: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the loss of a part, its plain cross-entropy and how many of its images are right; see UpdateResult."""
    net, recipe, fabric = trainee.net, trainee.recipe, trainee.fabric
    seed = draw_seed(recipe.seed, step, part.number, 4)
    torch.manual_seed(seed)
    net.reseed(recipe.seed, first_sample=first_sample + part.offset)
    images, labels = part.images.to(fabric.device), part.labels.to(fabric.device)
    images, targets = mix(images, labels, trainee.classes, recipe, seed)
    with fabric.autocast():
        scores = checked_scores(net(images), labels)
    scores = scores.to(torch.float32)
    loss = trainee.criterion(scores, targets)
    plain = right = torch.zeros((), device=scores.device)
    if not mixes(recipe):
        with torch.no_grad():
            plain = F.cross_entropy(scores, labels)
            right = (scores.argmax(1) == labels).sum().to(torch.float32)
    for bound in bounds_of(net):
        loss = loss + recipe.pact_decay * bound**2
    return loss, plain, right
