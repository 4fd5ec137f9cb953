"""Build the model that a user named: from timm, torchvision, this package, or a factory of their own."""

from __future__ import annotations

import ast
import copy
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch import nn

from asim_fx.capture.program import move_constants
from asim_fx.errors import ModelError, UsageError
from asim_fx.models.checkpoints import load_checkpoint, read_bounds
from asim_fx.models.devices import resolve_device
from asim_fx.models.exported import SUFFIX, build_exported, read_exported
from asim_fx.models.factories import build_python
from asim_fx.models.library import IMAGENET_CONFIG, ImageSize, LibraryModel, ModelRequest, first_line, format_size
from asim_fx.models.memory import refuse_too_large
from asim_fx.models.pact import ALPHA_START, place_bounds, rectifiers_of
from asim_fx.models.source import ModelSource, SourceKind
from asim_fx.models.valueless import build_without_values
from asim_fx.models.zoo import TIMM_SCHEMES, build_asim, build_timm, build_torchvision

_log = logging.getLogger(__name__)

META = "meta"
"""The device of models without values."""

_BUILDERS: Mapping[SourceKind, Callable[[ModelRequest], LibraryModel]] = {
    "timm": build_timm,
    "torchvision": build_torchvision,
    "asim": build_asim,
    "python": build_python,
}


@dataclass(frozen=True, slots=True)
class BuiltModel:
    """A model in eval mode, and where it came from.

    Attributes:
        model: the module, on its device.
        source: what builds it again, and how its images are prepared.
        input_shapes: shape of each tensor that it takes, for one sample, without the batch.
        listed: whether it takes a list of images, each of any size, instead of a batch of them.
        example: positional and keyword arguments on its device, where shapes alone do not say what it takes.
        bounds: of activations that the checkpoint has beside the weights, by name of the rectifier.
    """

    model: nn.Module
    source: ModelSource
    input_shapes: tuple[tuple[int, ...], ...]
    listed: bool = False
    example: tuple[tuple[Any, ...], dict[str, Any]] | None = None
    bounds: Mapping[str, float] = field(default_factory=dict)


def build_model(
    name: str,
    *,
    pretrained: bool = False,
    checkpoint: Path | None = None,
    num_classes: int | None = None,
    input_size: ImageSize | None = None,
    model_kwargs: Mapping[str, Any] | Sequence[str] = (),
    device: str = "cpu",
    seed: int = 0,
    bounded: bool = True,
    scratch: bool = False,
) -> BuiltModel:
    """Build a model by name, in eval mode.

    Args:
        name: a timm name (``resnet50``, with or without ``timm:``), ``torchvision:NAME``, ``asim:NAME``,
            which has its trained weights without being asked, ``pkg.module:factory``, or the path of a ``.pt2`` file.
        pretrained: download the library's own weights.
        checkpoint: file with weights, loaded last; see ``asim_fx.models.checkpoints``.
        num_classes: outputs of the classifier; the model's own number if left out.
        input_size: channels, height, width of an image; the model's own if left out.
        model_kwargs: arguments of the constructor, as a mapping or as ``key=value`` words.
        device: see ``resolve_device``; ``meta`` builds a model without values, to be planned and never run.
        seed: of random weights; torch's global generator is left as it was.
        bounded: whether rectifiers get the bounds (PACT) that the checkpoint's metadata has for them.
        scratch: whether a model that ships with trained weights gets random ones instead.

    Raises:
        ModelError: no such model, it cannot be built like this, its weights cannot be had, or it does not
            take images of this size; or its weights are its own affair and cannot be left out for ``scratch``.
        CheckpointError: the checkpoint cannot be read or does not fit.
        UsageError: an input size below 1, no such device, weights for a model without values, or a word that is no
            ``key=value``.
    """
    if input_size is not None and min(input_size) < 1:
        msg = f"--input-size: channels, height and width are at least 1, not {' '.join(map(str, input_size))}"
        raise UsageError(msg)
    valueless = device == META
    if valueless and (pretrained or checkpoint is not None):
        msg = "a model on the meta device holds no values, so it takes no weights"
        raise UsageError(msg, hint="leave out --device meta, or --pretrained and --checkpoint")
    target = torch.device(META) if valueless else resolve_device(device)
    kwargs = dict(model_kwargs) if isinstance(model_kwargs, Mapping) else parse_model_kwargs(model_kwargs)
    kind, bare = parse_name(name)
    if scratch and kind in ("python", "exported"):
        msg = f"{name} brings weights of its own, which cannot be left out"
        raise ModelError(msg, hint="let it return random weights, and leave out --scratch")
    brings_weights = checkpoint is not None or scratch
    request = ModelRequest(bare, pretrained, num_classes, input_size, kwargs, has_checkpoint=brings_weights)
    if kind == "exported":
        return _build_exported(request, target, checkpoint, seed)
    with _seeded(seed):
        built = build_without_values(lambda: _BUILDERS[kind](request)) if valueless else _BUILDERS[kind](request)
    model = built.model.eval()
    bounds: dict[str, float] = {}
    if checkpoint is not None:
        load_checkpoint(model, checkpoint)
        bounds = rectifiers_of(model, read_bounds(checkpoint))
    if bounds and bounded:
        place_bounds(model, bounds).eval()
        _log.info(f"{len(bounds)} rectifiers have the bounds (PACT) that {checkpoint} gives them")
    size = input_size or built.input_size
    shapes = _input_shapes(built, size)
    if kind == "python" or (input_size is not None and not built.listed):  # elsewhere the library says what it takes
        _check_takes(model, shapes, name, asked=input_size is not None)
    source = ModelSource(
        kind=kind,
        name=bare if kind in ("timm", "python") else f"{kind}:{bare}",
        input_size=size,
        num_classes=num_classes,
        model_kwargs=kwargs,
        data_config=fit_data_config(built.data_config, size) if built.data_config else {},
        aliases=find_aliases(model),
        bounded=tuple(bounds) if bounded else (),
    )
    return BuiltModel(model.to(target), source, shapes, built.listed, bounds=bounds)


def _build_exported(request: ModelRequest, target: torch.device, checkpoint: Path | None, seed: int) -> BuiltModel:
    if target.type == META:
        msg = f"{request.name} is read with its values, so it cannot be on the meta device"
        raise UsageError(msg, hint="leave out --device meta")
    with _seeded(seed):
        file = build_exported(request, seed=seed)
    if checkpoint is not None:
        load_checkpoint(file.model, checkpoint)
        rectifiers_of(file.model, read_bounds(checkpoint))
    move_constants(file.model, target)
    size = file.input_size
    source = ModelSource(
        kind="exported",
        name=request.name,
        input_size=size,
        data_config={} if size is None else fit_data_config(IMAGENET_CONFIG, size),
        sha256=file.sha256,
    )
    example = torch.utils._pytree.tree_map_only(torch.Tensor, lambda leaf: leaf.to(target), (file.args, file.kwargs))
    shapes = () if size is None else (size,)
    return BuiltModel(file.model.to(target), source, shapes, example=example)


def rebuild_model(source: ModelSource) -> nn.Module:
    """Build the architecture of a source again, in eval mode; its weights are arbitrary.

    Raises:
        ModelError: it cannot be built here, or it came from Python code, which a file may not name.
    """
    kind, bare = parse_name(source.name)
    if "python" in (kind, source.kind):
        msg = f"{source.name} is Python code, which is never run because a file names it"
        raise ModelError(msg, hint="pass the model itself")
    if kind == "exported":
        return read_exported(Path(bare))
    request = ModelRequest(
        bare, num_classes=source.num_classes, input_size=source.input_size, kwargs=source.model_kwargs
    )
    with _seeded(0):
        model = _BUILDERS[kind](request).model
    return place_bounds(model, dict.fromkeys(source.bounded, ALPHA_START)).eval()


def parse_name(name: str) -> tuple[SourceKind, str]:
    """Return where a model's name says it comes from, and its name there."""
    if name.endswith(SUFFIX):
        return "exported", name
    prefix, colon, rest = name.partition(":")
    if not colon or prefix in TIMM_SCHEMES:
        return "timm", name
    match prefix:
        case "timm" | "torchvision" | "asim":
            return prefix, rest
        case _:
            return "python", name


def parse_model_kwargs(words: Sequence[str]) -> dict[str, Any]:
    """Return ``key=value`` words as a dict; values are Python literals, or strings where they are none.

    Raises:
        UsageError: a word without a name or without ``=``.
    """
    parsed: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key.isidentifier():
            msg = f"--model-kwargs: {word!r} is not NAME=VALUE"
            raise UsageError(msg, hint="for example --model-kwargs drop_rate=0.1")
        try:
            parsed[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            parsed[key] = value
    return parsed


def find_aliases(model: nn.Module) -> dict[str, tuple[str, ...]]:
    """Return what ``@first_conv`` and ``@classifier`` stand for in a model.

    timm's models say it in their configuration. In others these are the first convolution and the last linear
    layer, in the order in which they were registered.
    """
    modules = dict(model.named_modules())
    convs = [name for name, module in modules.items() if isinstance(module, nn.modules.conv._ConvNd)]
    linears = [name for name, module in modules.items() if isinstance(module, nn.Linear)]
    config = getattr(model, "pretrained_cfg", None) or getattr(model, "default_cfg", None)
    stated = config if isinstance(config, Mapping) else {}
    aliases: dict[str, tuple[str, ...]] = {}
    for key, guess in (("first_conv", convs[:1]), ("classifier", linears[-1:])):
        names = stated.get(key) or ()
        known = [name for name in ((names,) if isinstance(names, str) else names) if name in modules]
        if known or guess:
            aliases[f"@{key}"] = tuple(known or guess)
    return aliases


def fit_data_config(config: Mapping[str, Any], size: ImageSize) -> dict[str, Any]:
    """Return a data configuration for images of this size, as plain JSON values.

    Args:
        config: with the keys of ``timm.data.resolve_data_config``.
        size: channels, height, width.
    """
    fitted = {**config, "input_size": size}
    for key in ("mean", "std"):
        if len(fitted[key]) != size[0]:  # statistics of three colours, and a model for something else: their average
            fitted[key] = (round(fmean(fitted[key]), 4),) * size[0]
    return {key: list(value) if isinstance(value, tuple) else value for key, value in fitted.items()}


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def _input_shapes(built: LibraryModel, size: ImageSize) -> tuple[tuple[int, ...], ...]:
    channels, *pixels = size
    frames = () if built.frames is None else (built.frames,)
    return ((channels, *frames, *pixels),) * built.inputs


def _zeros(model: nn.Module, shapes: Sequence[tuple[int, ...]]) -> list[torch.Tensor]:
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    return [torch.zeros(2, *shape, device=device) for shape in shapes]


def _takes_shapes(model: nn.Module, shapes: Sequence[tuple[int, ...]]) -> bool:
    """Run the model on shapes alone: for real, a large one takes minutes."""
    from torch._subclasses import fake_tensor

    logger = logging.getLogger(fake_tensor.__name__)  # it logs the traceback of what is merely an answer here
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with torch.no_grad(), fake_tensor.FakeTensorMode(allow_non_fake_inputs=True):
            model(*_zeros(model, shapes))
    except Exception:  # what a wrong shape raises is up to the model
        return False
    finally:
        logger.setLevel(level)
    return True


def _second_shell(model: nn.Module) -> nn.Module:
    """Return a copy around the same parameters: what a pass leaves in a model, such as cached tables, stays there."""
    try:
        return copy.deepcopy(model, {id(parameter): parameter for parameter in model.parameters()})
    except Exception:  # what cannot be copied cannot be captured either, and is told so there
        return model


def _check_takes(model: nn.Module, shapes: Sequence[tuple[int, ...]], name: str, *, asked: bool) -> None:
    """Refuse a model that cannot take two samples of these shapes, before anything is captured."""
    model = _second_shell(model)
    if not _takes_shapes(model, shapes):  # may be a limit of fake tensors: only a real pass can tell
        try:
            with torch.no_grad():
                model(*_zeros(model, shapes))
        except Exception as error:  # as above
            refuse_too_large(error, (2, *shapes[0]))
            msg = f"{name} does not take images of {format_size(shapes[0])}: {first_line(error)}"
            hint = "leave out --input-size for the model's own" if asked else "give its own by --input-size C H W"
            raise ModelError(msg, hint=hint) from error
