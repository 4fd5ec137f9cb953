"""From an artifact on disk to a model that can be run on images. Imports torch: only for the body of a command."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asim_fx.artifact import load, source_name
from asim_fx.capture import InputLeaf
from asim_fx.converted import ConvertedModel
from asim_fx.errors import DataError, UsageError
from asim_fx.models import fit_data_config, parse_model_kwargs, parse_name
from asim_fx.models.factories import build_python
from asim_fx.models.library import IMAGENET_CONFIG, LibraryModel, ModelRequest


@dataclass(frozen=True, slots=True)
class LoadedArtifact:
    """A converted model, and how its images are prepared.

    Attributes:
        converted: the model.
        data_config: with the keys of ``timm.data.resolve_data_config``.
    """

    converted: ConvertedModel
    data_config: Mapping[str, Any]


def load_artifact(directory: Path, factory: str | None, kwargs: Sequence[str]) -> LoadedArtifact:
    """Load an artifact.

    Args:
        directory: what ``asim-convert -o`` wrote.
        factory: ``pkg.module:factory`` of the original model, for artifacts of a user's own code.
        kwargs: ``key=value`` words for the factory.

    Raises:
        ArtifactError: the artifact cannot be used.
        UsageError: a factory for an artifact that needs none.
        ModelError: the factory does not make a model.
        DataError: the model does not take images.
    """
    known = "" if factory is None else source_name(directory)
    if known:
        msg = f"{directory} was made from {known}, which is built again by its own name: --model is not for it"
        raise UsageError(msg, hint="leave out --model")
    original = None if factory is None else _build(factory, kwargs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's and timm's words about their own code
        converted = load(directory, None if original is None else original.model)
    return LoadedArtifact(converted, data_config_of(converted, original))


def _build(factory: str, kwargs: Sequence[str]) -> LibraryModel:
    kind, name = parse_name(factory)
    if kind != "python":
        msg = f"--model is for models of your own code, pkg.module:factory, not {factory!r}"
        raise UsageError(msg, hint="leave it out: the artifact knows the names of other models")
    return build_python(ModelRequest(name, kwargs=parse_model_kwargs(kwargs)))


def data_config_of(converted: ConvertedModel, original: LibraryModel | None = None) -> Mapping[str, Any]:
    """Return how images are prepared for a converted model.

    Raises:
        DataError: it does not take one batch of images.
    """
    source = converted.recipe.source
    if source is not None and source.data_config:
        return source.data_config
    tensors = [leaf for leaf in converted.signature.leaves if isinstance(leaf, InputLeaf)]
    match [tensor.shape for tensor in tensors]:
        case [(_, int(channels), int(height), int(width))]:
            config = IMAGENET_CONFIG if original is None else original.data_config
            return fit_data_config(config, (channels, height, width))
        case _:
            msg = f"{converted.report.model} does not take one batch of images, so it cannot be run on image data"
            raise DataError(msg)
