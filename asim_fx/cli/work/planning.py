"""From command-line words to a model and its plan. Imports torch: only for the body of a command."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asim_fx.models import build_model, parse_name
from asim_fx.models.memory import enough_memory_for

if TYPE_CHECKING:
    from asim_fx.conversion import PlannedModel
    from asim_fx.converted import ConvertedModel
    from asim_fx.ir import OpSite
    from asim_fx.models import BuiltModel

_LARGE_PARAMETERS = 100 * 10**6
_LARGE_MACS = 5 * 10**9
"""For one image. Beyond either, a plan is made without values: seconds instead of minutes."""


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """The options that choose and build a model, as a user gave them.

    Attributes:
        checkpoint: file with weights.
        pretrained: whether the library's own weights are wanted.
        num_classes: of the classifier.
        input_size: channels, height, width.
        model_kwargs: ``key=value`` words.
        device: where it lives; None stands for the CPU, or for no values where a large model only gets planned.
        seed: of random weights and of the example input.
        bounded: whether rectifiers get the bounds that the checkpoint has for them.
    """

    checkpoint: Path | None = None
    pretrained: bool = False
    num_classes: int | None = None
    input_size: tuple[int, int, int] | None = None
    model_kwargs: tuple[str, ...] = ()
    device: str | None = None
    seed: int = 0
    bounded: bool = True


@dataclass(frozen=True, slots=True)
class ConversionOptions:
    """The options that say how a model is converted.

    Attributes:
        overrides: ``a.b=v`` words for the spec.
        strict: unmapped sites are errors.
        verify: check the lowered graph.
        fold_batch_norm: fold batch norms.
    """

    overrides: tuple[str, ...] = ()
    strict: bool = False
    verify: bool = False
    fold_batch_norm: bool = True


def build(model: str, options: ModelOptions) -> BuiltModel:
    """Build the model that a user named."""
    return build_model(
        model,
        pretrained=options.pretrained,
        checkpoint=options.checkpoint,
        num_classes=options.num_classes,
        input_size=options.input_size,
        model_kwargs=options.model_kwargs,
        device=options.device or "cpu",
        seed=options.seed,
        bounded=options.bounded,
    )


def build_to_plan(model: str, options: ModelOptions) -> BuiltModel:
    """Build a model that only gets planned: without values where it is large and nothing was said about them."""
    is_own = parse_name(model)[0] in ("python", "asim", "exported")
    if options.device is not None or options.pretrained or options.checkpoint is not None or is_own:
        return build(model, options)
    shapes = build(model, replace(options, device="meta"))
    if shapes.listed:  # what it does next depends on the boxes that it finds
        return build(model, options)
    return shapes if _is_large(shapes) else build(model, options)


def _is_large(built: BuiltModel) -> bool:
    """Whether running a model that holds no values would take long on a CPU, or more memory than planning needs."""
    from asim_fx.graph.macs import count_eager_macs

    if sum(parameter.numel() for parameter in built.model.parameters()) > _LARGE_PARAMETERS:
        return True
    try:
        return count_eager_macs(built.model, example_inputs(built, 0, batch=1)) > _LARGE_MACS
    except Exception:  # what a model does without values is up to the model
        return False


def example_inputs(built: BuiltModel, seed: int, batch: int = 2) -> tuple[Any, ...]:
    """Return random inputs, float32 (batch, C, H, W) where the model takes images, on the model's device.

    A model that takes a list of images gets one with a single image, values in 0..1; one from a file gets what it was
    exported with.
    """
    import torch

    if built.example is not None:
        return built.example[0]
    generator = torch.Generator().manual_seed(seed)
    device = next((parameter.device for parameter in built.model.parameters()), torch.device("cpu"))
    if device.type == "meta" and not built.listed:
        return tuple(torch.empty(batch, *shape, device=device) for shape in built.input_shapes)
    if built.listed:
        return ([torch.rand(built.input_shapes[0], generator=generator).to(device)],)
    return tuple(torch.randn(batch, *shape, generator=generator).to(device) for shape in built.input_shapes)


def _example_shape(built: BuiltModel) -> tuple[int, ...]:
    return (2, *built.input_shapes[0]) if built.input_shapes else ()


def _shown_name(built: BuiltModel) -> str:
    """Return what the report calls a model: that of a file without its folder; empty for the source's own name."""
    return Path(built.source.name).name if built.source.kind == "exported" else ""


def plan_model(
    model: str, spec: str, options: ModelOptions, conversion: ConversionOptions, begin: Callable[[str], None]
) -> PlannedModel:
    """Do all of a conversion that a dry run shows."""
    from asim_fx.conversion import plan
    from asim_fx.spec import load_spec

    document = load_spec(spec, conversion.overrides)
    begin("building the model")
    with _quiet():
        built = build_to_plan(model, options)
        with enough_memory_for(_example_shape(built)):
            return plan(
                built.model,
                document,
                example_inputs(built, options.seed),
                None if built.example is None else built.example[1],
                name=_shown_name(built),
                source=built.source,
                strict=conversion.strict,
                fold_batch_norm=conversion.fold_batch_norm,
                values=not (built.listed and options.device is None),
                progress=begin,
            )


def convert_model(
    model: str, spec: str, options: ModelOptions, conversion: ConversionOptions, begin: Callable[[str], None]
) -> ConvertedModel:
    """Do all of a conversion."""
    from asim_fx.conversion import convert
    from asim_fx.spec import load_spec

    document = load_spec(spec, conversion.overrides)
    begin("building the model")
    built = build(model, options)
    with _quiet(), enough_memory_for(_example_shape(built)):
        return convert(
            built.model,
            document,
            example_inputs(built, options.seed),
            None if built.example is None else built.example[1],
            name=_shown_name(built),
            source=built.source,
            strict=conversion.strict,
            fold_batch_norm=conversion.fold_batch_norm,
            verify=conversion.verify,
            seed=options.seed,
            progress=begin,
        )


def list_sites(model: str, options: ModelOptions | None = None) -> tuple[OpSite, ...]:
    """Return every site of a model: the names that rules can match."""
    from asim_fx.conversion import plans_of

    planned = plan_model(model, "ideal", options or ModelOptions(), ConversionOptions(), lambda _: None)
    return tuple(plan.site for plan in plans_of(planned))


class _quiet(warnings.catch_warnings):  # noqa: N801 (used as a verb in a with statement)
    """Keep torch's and timm's warnings about their own code out of the user's terminal."""

    def __enter__(self) -> None:
        super().__enter__()
        warnings.simplefilter("ignore")
