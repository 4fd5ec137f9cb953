"""The training form of a model on hardware, and the way back to a model that can be saved and simulated."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from asim_fx.calibration import restore
from asim_fx.conversion import convert
from asim_fx.converted import ConvertedModel
from asim_fx.errors import DataError, UsageError
from asim_fx.models import ModelSource
from asim_fx.nn import CimModule
from asim_fx.nn.trainable import TrainableNorm
from asim_fx.passes.trace_clips import is_alpha
from asim_fx.spec import HardwareSpec
from asim_fx.training.drop_path import with_visible_drop_paths
from asim_fx.training.separate_dropouts import SeparateDropouts

LEAST_ALPHA = 1e-3
"""A bound is kept above this: a scale must be positive."""


def trainable_form(
    model: nn.Module,
    spec: HardwareSpec,
    example: tuple[Any, ...],
    *,
    name: str = "",
    source: ModelSource | None = None,
    pact: bool = False,
    freeze_bn: bool = False,
    bounds: Mapping[str, float] | None = None,
) -> ConvertedModel:
    """Convert a model so that it can be trained as it will run.

    Batch norms are not folded. In training mode they, dropout and stochastic depth act as they do in training, and
    every simulated site has straight-through gradients. Parameters that inference does not use, such as those of
    auxiliary classifiers, are not trained: ``unused_parameters`` names them.

    Args:
        model: never changed.
        spec: the hardware.
        example: positional arguments of one forward pass.
        name: what reports call the model.
        source: where it came from.
        pact: whether every ReLU gets a learned bound.
        freeze_bn: whether batch norms keep their statistics, scale and shift.
        bounds: where learned bounds start, by name of the ReLU; others start at 6.

    Raises:
        UsageError: the model can only be captured in parts, inference uses none of its parameters, or a batch norm
            averages over all batches (``momentum=None``).
    """
    averaging = [name for name, module in model.named_modules() if _averages_all_batches(module)]
    if averaging and not freeze_bn:
        message = f"batch norm {averaging[0]} has no momentum: it averages over all batches, which is not supported"
        raise UsageError(message, hint="give it a momentum, for example 0.1, or freeze the batch norms (--freeze-bn)")
    with SeparateDropouts():
        converted = convert(
            with_visible_drop_paths(model),
            spec,
            example,
            name=name or (source.name if source is not None else type(model).__name__),
            source=source,
            fold_batch_norm=False,
            pact=pact,
            trainable=True,
        )
    if "" not in converted.graph_modules:
        message = "the model can only be captured in parts, and such a model cannot be trained"
        raise UsageError(message, hint="train it before it is converted")
    if len(unused_parameters(converted, model)) == len(dict(model.named_parameters())):
        message = "inference uses no parameter of the model, so there is nothing to train"
        raise UsageError(message)
    if freeze_bn:
        _freeze_norms(converted)
    with torch.no_grad():
        for name, parameter in converted.body.named_parameters():
            start = (bounds or {}).get(name.rpartition(".")[0])
            if is_alpha(name) and start is not None:
                parameter.fill_(start)
    return converted.train()


def unused_parameters(converted: ConvertedModel, model: nn.Module) -> list[str]:
    """Return the names of the model's parameters that its training form does not use; they stay what they are."""
    read = {str(node.target) for node in converted.graph_module.graph.nodes if node.op == "get_attr"}
    named = list(model.named_parameters(remove_duplicate=False))
    used = {id(parameter) for name, parameter in named if name in read}
    return [name for name, parameter in named if id(parameter) not in used]


def original_state(converted: ConvertedModel, model: nn.Module) -> dict[str, Tensor]:
    """Return the trained weights under the keys of the original model, without learned bounds.

    What the training form does not hold, because inference does not use it, is the model's own.
    """
    trained = converted.body.state_dict()
    own = model.state_dict(keep_vars=True)
    shared = {id(tensor): trained[key] for key, tensor in own.items() if key in trained}  # a tensor of several names
    return {key: trained.get(key, shared.get(id(tensor), tensor)).detach().cpu() for key, tensor in own.items()}


def deploy(converted: ConvertedModel, model: nn.Module) -> ConvertedModel:
    """Return the trained model in the form that is saved and simulated: the same sites, scales and bounds.

    Args:
        converted: what ``trainable_form`` made of ``model``, trained.
        model: the original; never changed.

    Raises:
        DataError: the two do not have the same sites.
    """
    trained = copy.deepcopy(model).cpu().eval()
    trained.load_state_dict(original_state(converted, model))
    recipe = converted.recipe
    args, kwargs = converted.signature.example()
    result = convert(
        trained,
        recipe.spec,
        args,
        kwargs,
        name=recipe.name,
        source=recipe.source,
        fold_batch_norm=False,
        pact=recipe.pact,
        seed=converted.seed,
    )
    ours, theirs = result.sites(), converted.sites()
    differing = [name for name in ours.keys() | theirs.keys() if not _alike(ours.get(name), theirs.get(name))]
    if differing:
        message = f"these sites are not what was trained: {', '.join(sorted(differing)[:3])}"
        raise DataError(message, hint="their weights are computed from parameters in a way that training cannot keep")
    learned = {name: tensor for name, tensor in converted.body.state_dict().items() if _is_learned(name)}
    state = result.body.state_dict()
    with torch.no_grad():
        for key, tensor in learned.items():
            state[key].copy_(tensor)
    restore(result, converted.calibration)
    return result


def bounds_of(converted: ConvertedModel) -> list[nn.Parameter]:
    """Return the learned bounds of PACT."""
    return [parameter for name, parameter in converted.named_parameters() if is_alpha(name)]


def _averages_all_batches(module: nn.Module) -> bool:
    norm = isinstance(module, nn.modules.batchnorm._BatchNorm)
    return norm and module.momentum is None and module.running_mean is not None


def _alike(one: CimModule | None, other: CimModule | None) -> bool:
    if one is None or other is None:
        return False
    return replace(one.config, read=other.config.read) == other.config


def _is_learned(name: str) -> bool:
    return is_alpha(name) or name.rpartition(".")[2] in ("input_scale", "weight_scale")


def _freeze_norms(converted: ConvertedModel) -> None:
    graph_module = converted.graph_module
    modules = dict(graph_module.named_modules())
    for node in graph_module.graph.nodes:
        norm = modules.get(str(node.target)) if node.op == "call_module" else None
        if not isinstance(norm, TrainableNorm):
            continue
        norm.frozen = True
        for operand in node.args[1:3]:
            if operand is not None:
                graph_module.get_parameter(str(operand.target)).requires_grad_(False)
