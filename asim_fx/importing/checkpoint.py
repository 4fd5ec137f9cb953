"""Weights of the published simulator's networks, for the same network of torchvision, timm or this package."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from asim_fx.errors import CheckpointError
from asim_fx.importing.names import PROJECTION, QKV, renamed, rules_for
from asim_fx.models.pact import ALPHA

_COUNTER = "num_batches_tracked"
_SHOWN = 6
_CLASSES_OF_SMALL_IMAGES = (10, 100)
"""CIFAR-10 and CIFAR-100."""


@dataclass(frozen=True, slots=True)
class ImportedWeights:
    """The result.

    Attributes:
        tensors: by the model's own names.
        bounds: of activations that the model has no place for, by name of the rectifier.
        notes: what was changed or left out, in words.
    """

    tensors: Mapping[str, Tensor]
    bounds: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def classes_of(state: Mapping[str, Tensor]) -> int | None:
    """Return how many classes the published network tells apart."""
    for name in ("fc.weight", "linear.weight", "classifier.6.weight", "heads.weight"):
        if name in state:
            return int(state[name].shape[0])
    return None


def import_weights(
    state: Mapping[str, Tensor], expected: Mapping[str, Tensor], heads: int | None = None
) -> ImportedWeights:
    """Give the weights of a published ResNet, VGG or ViT the names and forms that another one of the same shape has.

    Args:
        state: the published network's.
        expected: the other one's; only names and shapes are read.
        heads: of its attention; needed for a ViT.

    Raises:
        CheckpointError: a weight has no place, a place has no weight, shapes differ, or a value is none that a network
            can have.
    """
    notes: list[str] = []
    _check_values(state)
    given = _without_other_stem(dict(state), expected, notes)
    bounds = {name.removesuffix(f".{ALPHA}"): value for name, value in given.items() if name.endswith(f".{ALPHA}")}
    fits = all(f"{name}.{ALPHA}" in expected for name in bounds)
    if not fits:
        given = {name: value for name, value in given.items() if not name.endswith(f".{ALPHA}")}
    scaled = {
        name: _rescaled(name, value, heads, notes) if QKV.fullmatch(name) or PROJECTION.fullmatch(name) else value
        for name, value in given.items()
    }
    rules = rules_for(expected)
    sources = {renamed(name, rules): name for name in scaled}
    tensors = {target: _fitted(scaled[source], expected.get(target)) for target, source in sources.items()}
    _check(tensors, expected, sources)
    if bounds and not fits:
        notes.append(
            f"{len(bounds)} bounds of activations (PACT) have no place in this model; they are kept in the file's "
            "metadata, and --checkpoint puts them where the rectifiers are. Other programs that read the file do not, "
            "and their results differ where a bound is passed"
        )
    if any(name.endswith(".running_mean") for name in expected):
        notes.append(
            "ASiM quantises the weights as they are, and asim-convert by default those that a batch norm was folded "
            "into, which gives other results: convert with --no-fold-batch-norm for ASiM's"
        )
    kept = {} if fits else {name: float(value) for name, value in bounds.items()}
    return ImportedWeights(tensors, kept, tuple(dict.fromkeys(notes)))


def _without_other_stem(
    state: dict[str, Tensor], expected: Mapping[str, Tensor], notes: list[str]
) -> dict[str, Tensor]:
    """Drop one of the published ResNet's two first convolutions: conv1 is for small images, conv2 for large ones."""
    if "conv2.weight" not in state or "conv1.weight" not in expected:
        return state
    small, large = state.pop("conv1.weight", None), state.pop("conv2.weight")
    wanted = expected["conv1.weight"].shape
    takes_small = small is not None and small.shape == wanted
    state["conv1.weight"] = small if takes_small and small is not None else large
    unused = "7x7 first convolution, for large images" if takes_small else "3x3 first convolution, for small images"
    notes.append(f"left out: the {unused}, which this network does not use")
    if not takes_small and classes_of(state) in _CLASSES_OF_SMALL_IMAGES:
        notes.append(
            f"these weights have {classes_of(state)} classes and so were probably trained on CIFAR, where the "
            "published ResNet uses its 3x3 first convolution; the 7x7 one, which this model takes, was then never "
            "trained. The asim:*_cifar models take the 3x3 one"
        )
    return state


def _rescaled(name: str, value: Tensor, heads: int | None, notes: list[str]) -> Tensor:
    """Scale attention so that ``head_dim ** -0.5`` gives what ``embed_dim ** -0.5`` gave.

    Q and K take ``heads ** -0.25`` each. V, which is quantised with them, takes it too, so that the codes of all three
    stay what they were, and the projection behind takes it back: its weight has a scale of its own.
    """
    if heads is None:
        msg = "the model has no attention heads, and these weights are a ViT's"
        raise CheckpointError(msg, hint="give a ViT for --model, such as torchvision:vit_b_32")
    factor = heads**-0.25
    notes.append(
        f"Q, K and V are scaled by {factor:.4f} and the projection behind them by {1 / factor:.4f}: the published ViT "
        "scales attention by embed_dim ** -0.5, this one by head_dim ** -0.5. Quantised codes stay what they were"
    )
    scaled: Tensor = value * factor if QKV.fullmatch(name) else value / factor
    return scaled


def _fitted(value: Tensor, place: Tensor | None) -> Tensor:
    """Return a linear layer's weight as the 1x1 or 7x7 convolution that timm's VGGs have in its place."""
    is_window = place is not None and value.dim() == 2 and place.dim() == 4 and value.numel() == place.numel()
    return value.reshape(place.shape) if is_window and place is not None else value


def _check_values(state: Mapping[str, Tensor]) -> None:
    """Refuse weights that are no finite floating-point numbers, and bounds that are not positive."""
    problems = []
    for name, value in state.items():
        if name.endswith(_COUNTER):
            continue
        if not value.is_floating_point():
            problems.append(f"{name} holds {str(value.dtype).removeprefix('torch.')}, and must hold floating point")
        elif not torch.isfinite(value).all():
            problems.append(f"{name} holds NaN or infinity")
        elif name.endswith(f".{ALPHA}") and (value.numel() != 1 or not 0 < float(value) < math.inf):
            shown = _shape(value) if value.numel() != 1 else f"{float(value):g}"
            problems.append(f"{name} is {shown}, and a bound of activations is one positive number")
    if problems:
        msg = "the weights cannot be used:\n" + _listed(problems)
        raise CheckpointError(msg, hint="the training that wrote this file may have diverged")


def _listed(problems: list[str]) -> str:
    more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
    return "\n".join(problems[:_SHOWN] + more)


def _check(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], sources: Mapping[str, str]) -> None:
    missing = [name for name in expected if name not in tensors and not name.endswith(_COUNTER)]
    homeless = [sources[name] for name in tensors if name not in expected]
    problems = [f"{name} has no place in the model{_nearest(name, missing)}" for name in homeless]
    problems += [f"{name} of the model has no weight{_nearest(name, homeless)}" for name in missing]
    problems += [
        f"{sources[name]} is {_shape(value)} where the model has {_shape(expected[name])}"
        for name, value in tensors.items()
        if name in expected and value.shape != expected[name].shape
    ]
    if problems:
        msg = "the weights do not fit the model:\n" + _listed(problems)
        raise CheckpointError(msg, hint="check --model, --num-classes and --model-kwargs")


def _nearest(name: str, others: list[str]) -> str:
    near = difflib.get_close_matches(name, others, n=2)
    return f" (nearest: {', '.join(near)})" if near else ""


def _shape(value: Tensor) -> str:
    return "x".join(map(str, value.shape)) or "a number"
