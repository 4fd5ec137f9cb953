"""From command-line words to a model and its plan. Imports torch: only for the body of a command."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from asim_fx.models import build_model

if TYPE_CHECKING:
    from torch import Tensor

    from asim_fx.conversion import PlannedModel
    from asim_fx.converted import ConvertedModel
    from asim_fx.ir import OpSite
    from asim_fx.models import BuiltModel


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """The options that choose and build a model, as a user gave them.

    Attributes:
        checkpoint: file with weights.
        pretrained: whether the library's own weights are wanted.
        num_classes: of the classifier.
        input_size: channels, height, width.
        model_kwargs: ``key=value`` words.
        device: where it lives.
        seed: of random weights and of the example input.
    """

    checkpoint: Path | None = None
    pretrained: bool = False
    num_classes: int | None = None
    input_size: tuple[int, int, int] | None = None
    model_kwargs: tuple[str, ...] = ()
    device: str = "cpu"
    seed: int = 0


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
        device=options.device,
        seed=options.seed,
    )


def example_input(built: BuiltModel, seed: int) -> Tensor:
    """Return two random images, float32 (2, C, H, W), on the model's device."""
    import torch

    size = built.source.input_size
    if size is None:
        from asim_fx.errors import ModelError

        message = f"{built.source.name} does not say what images it takes"
        raise ModelError(message, hint="give --input-size C H W")
    generator = torch.Generator().manual_seed(seed)
    device = next((parameter.device for parameter in built.model.parameters()), torch.device("cpu"))
    return torch.randn(2, *size, generator=generator).to(device)


def plan_model(
    model: str, spec: str, options: ModelOptions, conversion: ConversionOptions, begin: Callable[[str], None]
) -> PlannedModel:
    """Do all of a conversion that a dry run shows."""
    from asim_fx.conversion import plan
    from asim_fx.spec import load_spec

    document = load_spec(spec, conversion.overrides)
    begin("building the model")
    built = build(model, options)
    with _quiet():
        return plan(
            built.model,
            document,
            example_input(built, options.seed),
            source=built.source,
            strict=conversion.strict,
            fold_batch_norm=conversion.fold_batch_norm,
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
    with _quiet():
        return convert(
            built.model,
            document,
            example_input(built, options.seed),
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
