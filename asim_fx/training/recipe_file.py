"""Settings of a training run from a YAML file and the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from asim_fx.errors import UsageError
from asim_fx.training.recipe import TrainingRecipe, find_problem

_NUMBERS = ("trim_noise", "warmup_lr")
"""Settings that are numbers; their default is None."""
_ALIASES = {"amp": "precision"}
"""Names of options that are not those of their settings."""
_DEFAULTS = {field.name: field.default for field in fields(TrainingRecipe)}


def read_recipe(path: Path | None, options: Mapping[str, Any]) -> TrainingRecipe:
    """Return the settings of a YAML file, with those of the command line over them; all others have their default.

    Args:
        path: the file; None where there is none.
        options: settings of the command line, by name.

    Raises:
        UsageError: the file cannot be read, there is no such setting, its value is not of its kind or range, or
            settings exclude each other.
    """
    layers = [("the command line", options)]
    if path is not None:
        layers.insert(0, (str(path), _named(_read(path), str(path))))
    merged: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for where, settings in layers:
        for name, value in settings.items():
            merged[name], origin[name] = _checked(name, value, where), where
    # Only now: a setting of the file may need another one that the command line gives.
    problem = find_problem(SimpleNamespace(**{**_DEFAULTS, **merged}))
    if problem is not None:
        origins = [f"{name} is from {origin[name]}" for name in problem.settings if name in origin]
        message = f"{problem.message} ({', '.join(origins)})" if origins and path is not None else problem.message
        raise UsageError(message, hint=problem.hint)
    return TrainingRecipe(**merged)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        held = YAML(typ="safe").load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        message = f"cannot read {path}: {error}"
        raise UsageError(message) from error
    if not isinstance(held, dict):
        message = f"{path} is not a mapping of settings"
        raise UsageError(message, hint="for example: {mode: qat, epochs: 30, lr: 0.001}")
    return held


def _named(settings: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return settings by their own names."""
    twice = [name for option, name in _ALIASES.items() if option in settings and name in settings]
    if twice:
        message = f"{where} gives {twice[0]} twice"
        raise UsageError(message, hint="leave one of the two out")
    return {_ALIASES.get(name, name): value for name, value in settings.items()}


def _checked(name: str, value: object, where: str) -> Any:
    """Return a value if it is of the kind of its setting; a list of numbers as a tuple.

    Raises:
        UsageError: there is no such setting, or its value is of another kind.
    """
    if name not in _DEFAULTS:
        message = f"{where}: there is no setting {name!r}"
        raise UsageError(message, hint=f"the settings are {', '.join(_DEFAULTS)}")
    if name == "decay_epochs":
        return _whole_numbers(name, value, where)
    wanted = float if name in _NUMBERS else type(_DEFAULTS[name])
    fits = isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool))
    if not fits and not (wanted is float and isinstance(value, int) and not isinstance(value, bool)):
        message = f"{where}: {name} must be {wanted.__name__}, not {value!r}"
        raise UsageError(message)
    return value


def _whole_numbers(name: str, value: object, where: str) -> tuple[int, ...]:
    """Return ``30``, ``[30, 60]`` or ``"30,60"`` as a tuple."""
    listed: list[Any] = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else [value]
    try:
        if any(isinstance(number, (bool, float)) for number in listed):
            raise TypeError
        return tuple(int(number) for number in listed)
    except (TypeError, ValueError):
        message = f"{where}: {name} must be a number of epochs, or several (30,60), not {value!r}"
        raise UsageError(message) from None
