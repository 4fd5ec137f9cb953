"""How a model is trained: every setting as one frozen value. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from asim_fx.errors import UsageError

Mode = Literal["float", "qat", "nat", "hardware"]
Loss = Literal["cross-entropy", "bce"]
Precision = Literal["32-true", "bf16-mixed", "16-mixed"]
Keep = Literal["last", "best"]


@dataclass(frozen=True, slots=True)
class TrainingRecipe:
    """Settings of a training run. Names of optimisers, schedules and policies are timm's.

    Attributes:
        mode: forward pass: ``float``; ``qat``, rounded operands; ``nat``, rounded operands with trim noise;
            ``hardware``, the simulated reads themselves.
        epochs: passes over the data.
        batch_size: images of one update, over all processes.
        parts: pieces of a batch that are computed on their own (batch statistics, dynamic scales) and summed in order.
            The result depends on the number of parts, not on that of the processes. 0: one for each process.
        opt: optimiser.
        lr: learning rate.
        weight_decay: weight decay of matrices and kernels; biases, norms and bounds have none.
        momentum: momentum, for optimisers that take one.
        clip_grad: largest norm of the gradient; 0 does not limit it.
        sched: schedule of the learning rate, by updates.
        warmup_epochs: epochs of linear warm-up.
        warmup_lr: learning rate at the start of the warm-up; None: lr/100.
        min_lr: learning rate at the end of the schedule.
        decay_epochs: for ``step``, one number: epochs between two decays. For ``multistep``: the epochs after which the
            rate decays. For ``wsd`` and ``rsqrt``, one number: epochs of decay at the end.
        decay_rate: for ``step`` and ``multistep``, what the learning rate is multiplied by. For ``poly``: the power.
        loss: ``bce`` is binary cross-entropy on one-hot targets.
        smoothing: share of a target that is spread over all classes.
        mixup: alpha of mixup; 0 turns it off.
        cutmix: alpha of cutmix; 0 turns it off.
        augment: whether images are cropped, flipped and recoloured at random; otherwise they are prepared as for
            evaluation.
        aa: timm's augmentation policy (``rand-m9-mstd0.5``), or the empty string.
        hflip: probability of a horizontal flip.
        reprob: probability of random erasing.
        crop_min: smallest share of an image that a random crop takes.
        color_jitter: largest change of brightness, contrast and saturation, as a share; 0 turns it off. Grey images
            have none, and neither have images with an ``aa`` policy.
        trim_noise: for ``nat``, in % of each result; None measures it at each site, from its simulated reads.
        trim_factor: trim noise is multiplied by this.
        trim_additive: whether trim noise has the same standard deviation for every element of a site's result, in % of
            their root mean square.
        pact: whether ReLUs get a learned bound.
        pact_decay: L2 penalty on the learned bounds: weight of the sum of their squares in the loss.
        freeze_bn: whether batch norms keep their statistics, scale and shift.
        ema: decay of a moving average of the weights, which is then evaluated and kept; 0: none. The decay of update n
            is at most 1 - n^(-2/3), so that the first weights are forgotten.
        calib_samples: training images on which static scales and converter windows are chosen.
        keep: whether the artifact and the final weights are those of the last epoch or of the most accurate one.
        precision: floating-point precision outside simulated sites.
        seed: of order, augmentation, dropout and noise.
    """

    mode: Mode = "qat"
    epochs: int = 10
    batch_size: int = 64
    parts: int = 0
    opt: str = "adamw"
    lr: float = 1e-3
    weight_decay: float = 0.05
    momentum: float = 0.9
    clip_grad: float = 0.0
    sched: str = "cosine"
    warmup_epochs: int = 0
    warmup_lr: float | None = None
    min_lr: float = 0.0
    decay_epochs: tuple[int, ...] = ()
    decay_rate: float = 0.1
    loss: Loss = "cross-entropy"
    smoothing: float = 0.1
    mixup: float = 0.0
    cutmix: float = 0.0
    augment: bool = True
    aa: str = ""
    hflip: float = 0.5
    reprob: float = 0.0
    crop_min: float = 0.08
    color_jitter: float = 0.4
    trim_noise: float | None = None
    trim_factor: float = 1.0
    trim_additive: bool = False
    pact: bool = False
    pact_decay: float = 1e-3
    freeze_bn: bool = False
    ema: float = 0.0
    calib_samples: int = 256
    keep: Keep = "last"
    precision: Precision = "32-true"
    seed: int = 0

    def __post_init__(self) -> None:
        problem = find_problem(self)
        if problem is not None:
            raise UsageError(problem.message, hint=problem.hint)

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    def identity(self) -> dict[str, Any]:
        """Return what a checkpoint must have in common with this: all, but the epochs where no rate depends on them."""
        return {name: value for name, value in self.to_json().items() if name != "epochs" or self.sched not in _ENDLESS}


_ENDLESS = ("none", "constant", "step", "multistep")
"""Schedules whose rates at an update are the same however many epochs follow."""

_CHOICES: Mapping[str, tuple[str, ...]] = {
    "mode": get_args(Mode),
    "loss": get_args(Loss),
    "precision": get_args(Precision),
    "keep": get_args(Keep),
}
_LEAST: Mapping[str, float] = {
    **{"epochs": 1, "batch_size": 1, "parts": 0, "seed": 0, "warmup_epochs": 0, "calib_samples": 1},
    **{"weight_decay": 0, "clip_grad": 0, "min_lr": 0, "mixup": 0, "cutmix": 0, "pact_decay": 0, "trim_factor": 0},
    **{"decay_rate": 0, "color_jitter": 0},
}
_SHARES = ("smoothing", "hflip", "reprob", "crop_min")
_AUGMENTATION = ("aa", "hflip", "reprob", "crop_min", "color_jitter")
_DECAYING = ("step", "multistep")
_DECAYING_AT_THE_END = ("wsd", "rsqrt")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a recipe.

    Attributes:
        message: for the user.
        settings: names of those that it is about.
        hint: what to do, or the empty string.
    """

    message: str
    settings: tuple[str, ...]
    hint: str = ""


def find_problem(recipe: Any) -> Problem | None:
    """Return the first thing that is wrong with anything that has the attributes of a recipe."""
    return next(_problems(recipe), None)


def _problems(recipe: Any) -> Iterator[Problem]:
    for name, choices in _CHOICES.items():
        if getattr(recipe, name) not in choices:
            yield Problem(f"{name} must be one of {', '.join(choices)}, not {getattr(recipe, name)!r}", (name,))
    for name, least in _LEAST.items():
        if not least <= getattr(recipe, name) < math.inf:
            yield Problem(f"{name} must be at least {least:g}, not {getattr(recipe, name)}", (name,))
    for name in _SHARES:
        if not 0 <= getattr(recipe, name) <= 1:
            yield Problem(f"{name} must lie in 0..1, not {getattr(recipe, name)}", (name,))
    if not 0 <= recipe.ema < 1:
        hint = "for example 0.999, which averages over about a thousand updates"
        yield Problem(f"ema must be at least 0 and below 1, not {recipe.ema}", ("ema",), hint)
    if not 0 < recipe.lr < math.inf:
        yield Problem(f"lr must be above 0, not {recipe.lr}", ("lr",))
    if recipe.trim_noise is not None and not 0 <= recipe.trim_noise < math.inf:
        hint = "leave it out to have it measured at each site"
        yield Problem(f"trim_noise must be at least 0, not {recipe.trim_noise}", ("trim_noise",), hint)
    if recipe.mode != "nat" and (recipe.trim_noise is not None or recipe.trim_factor != 1 or recipe.trim_additive):
        names = ("mode", "trim_noise", "trim_factor", "trim_additive")
        message = f"trim noise is for mode nat, and the mode is {recipe.mode}"
        yield Problem(message, names, "--mode nat trains with it")
    yield from _problems_of_schedule(recipe)
    if not recipe.augment and (changed := changed_augmentation(recipe)):
        message = f"{', '.join(changed)} without effect: images are not augmented"
        yield Problem(message, ("augment", *changed), "leave out --no-augment, or these settings")
    if recipe.aa and "3a" not in recipe.aa and recipe.color_jitter != _default("color_jitter"):
        message = f"color_jitter has no effect with aa {recipe.aa}, which changes colours itself"
        yield Problem(message, ("aa", "color_jitter"), "leave one of them out")
    if recipe.warmup_epochs and recipe.warmup_epochs >= recipe.epochs:
        message = f"{recipe.warmup_epochs} epochs of warm-up leave none of {recipe.epochs} epochs to train at lr"
        yield Problem(message, ("warmup_epochs", "epochs"), "give more --epochs or fewer --warmup-epochs")
    other = "choose another --batch-size or --parts"
    if recipe.parts and recipe.batch_size % recipe.parts:
        message = f"a batch of {recipe.batch_size} images cannot be cut in {recipe.parts} equal parts"
        yield Problem(message, ("batch_size", "parts"), other)
    if (recipe.mixup or recipe.cutmix) and recipe.batch_size // max(1, recipe.parts) % 2:
        message = "mixup and cutmix pair the images of a part, so their number must be even"
        yield Problem(message, ("batch_size", "parts", "mixup", "cutmix"), other)


def changed_augmentation(recipe: Any) -> tuple[str, ...]:
    """Return the settings of random augmentation that do not have their default."""
    return tuple(name for name in _AUGMENTATION if getattr(recipe, name) != _default(name))


def _default(name: str) -> Any:
    return next(field.default for field in fields(TrainingRecipe) if field.name == name)


def _problems_of_schedule(recipe: Any) -> Iterator[Problem]:
    sched, decays = recipe.sched, recipe.decay_epochs
    if sched == "plateau":
        message = "sched plateau waits for the accuracy of an epoch; here the learning rate depends on the update alone"
        yield Problem(message, ("sched",), "for example cosine, step with --decay-epochs, or none")
    if sched in _DECAYING and not decays:
        yield Problem(f"sched {sched} needs decay_epochs", ("sched",), f"for example {_EXAMPLE_DECAYS[sched]}")
    if decays and sched not in (*_DECAYING, *_DECAYING_AT_THE_END):
        message = f"decay_epochs is for step, multistep, wsd and rsqrt, and sched is {sched}"
        yield Problem(message, ("sched", "decay_epochs"), "leave it out, or choose another --sched")
    if len(decays) > 1 and sched != "multistep":
        message = f"sched {sched} takes one number of decay_epochs, not {len(decays)}"
        yield Problem(message, ("sched", "decay_epochs"), "--sched multistep takes several")
    if any(epoch < 1 for epoch in decays) or list(decays) != sorted(set(decays)):
        message = f"decay_epochs must rise and be at least 1, not {', '.join(map(str, decays))}"
        yield Problem(message, ("decay_epochs",))
    if recipe.decay_rate != _default("decay_rate") and sched not in (*_DECAYING, "poly"):
        message = f"decay_rate is for step, multistep and poly, and sched is {sched}"
        yield Problem(message, ("sched", "decay_rate"), "leave it out, or choose another --sched")
    if recipe.min_lr and sched in _ENDLESS:
        message = f"min_lr has no effect with sched {sched}, which has no end"
        yield Problem(message, ("sched", "min_lr"), "leave it out, or choose another --sched")
    if recipe.warmup_lr is not None and not 0 <= recipe.warmup_lr < math.inf:
        yield Problem(f"warmup_lr must be at least 0, not {recipe.warmup_lr}", ("warmup_lr",))
    if recipe.warmup_lr is not None and not recipe.warmup_epochs:
        message = "warmup_lr has no effect without warmup_epochs"
        yield Problem(message, ("warmup_lr", "warmup_epochs"), "give --warmup-epochs, or leave it out")


_EXAMPLE_DECAYS: Mapping[str, str] = {
    "step": "--decay-epochs 30, which decays every 30 epochs",
    "multistep": "--decay-epochs 30,60",
}
