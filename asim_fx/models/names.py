"""Which models a name with wildcards stands for."""

from __future__ import annotations

from fnmatch import fnmatchcase

from asim_fx.errors import ModelError, UsageError
from asim_fx.models.build import parse_name
from asim_fx.models.library import import_library
from asim_fx.models.zoo import ASIM_MODELS


def matching_models(pattern: str) -> list[str]:
    """Return the names, as ``build_model`` takes them, that a shell pattern matches: ``vit_*``, ``torchvision:*``.

    Raises:
        UsageError: the pattern is of models that cannot be listed.
        ModelError: it matches none.
    """
    library, glob = parse_name(pattern)
    match library:
        case "timm":
            names = import_library("timm").list_models()
        case "torchvision":
            names = import_library("torchvision").models.list_models()
        case "asim":
            names = list(ASIM_MODELS)
        case _:
            msg = f"{pattern}: models of your own code have no list to match against"
            raise UsageError(msg, hint="name one factory: pkg.module:factory")
    prefix = "" if library == "timm" else f"{library}:"
    found = [f"{prefix}{name}" for name in names if fnmatchcase(name, glob)]
    if not found:
        msg = f"no model matches {pattern!r}"
        raise ModelError(msg, hint="quote the pattern; torchvision's models are torchvision:NAME")
    return found
