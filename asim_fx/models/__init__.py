"""Models by name: from timm, torchvision, this package, or a factory of the user's own."""

from asim_fx.models.build import (
    BuiltModel,
    build_model,
    find_aliases,
    fit_data_config,
    parse_model_kwargs,
    parse_name,
    rebuild_model,
)
from asim_fx.models.names import matching_models
from asim_fx.models.source import ModelSource

__all__ = [
    "BuiltModel",
    "ModelSource",
    "build_model",
    "find_aliases",
    "fit_data_config",
    "matching_models",
    "parse_model_kwargs",
    "parse_name",
    "rebuild_model",
]
