"""The settings that some rules of a spec give, on top of its defaults, with the origin of every field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asim_fx.errors import SpecError, SpecIssue
from asim_fx.spec.schema import HardwareSpec, Macro, Settings, SiteSettings, written_fields
from asim_fx.spec.words import unknown_name

MACRO = "macro"
_PREFIX = f"{MACRO}."


@dataclass(frozen=True, slots=True)
class Merged:
    """Settings, and where each of them comes from.

    Attributes:
        settings: every field; ``macro_name`` is empty where no macro is chosen.
        paths: setting (``vote.levels``, ``macro.adc.bits``; ``macro`` for the macro's name) -> dotted path
            in the document (``rules.2.vote.levels``), empty for a built-in default.
    """

    settings: SiteSettings
    paths: Mapping[str, str]


def merge(spec: HardwareSpec, rules: Sequence[int]) -> Merged:
    """Apply rules in order, field by field, to the defaults of a spec.

    A rule that names a macro takes it as it is: what earlier rules changed in their macro is dropped.

    Args:
        spec: the document.
        rules: numbers of the rules, ascending.

    Raises:
        SpecError: a macro that is named does not exist.
    """
    values: dict[str, Any] = dict(leaves(Settings().model_dump()))
    paths = dict.fromkeys(values, "")
    _choose_macro(spec, _default_macro(spec), values, paths)
    layers = [("defaults", written_fields(spec.defaults))]
    layers += [(f"rules.{index}", spec.rules[index].settings) for index in rules]
    for prefix, changes in layers:
        for name, value in leaves(changes):
            path = f"{prefix}.{name}"
            if name == MACRO:
                _choose_macro(spec, (value, path), values, paths)
            else:
                values[name] = value
                paths[name] = path
    settings = SiteSettings.model_validate(_nested(values))
    return Merged(settings, {MACRO if name == "macro_name" else name: path for name, path in paths.items()})


def provenance(spec: HardwareSpec, path: str) -> str:
    """Say in words where a setting comes from (``rules[2], chip.yaml:14`` or ``default value``).

    Args:
        spec: the document.
        path: dotted path in it, empty for a built-in default.
    """
    if not path:
        return "default value"
    where = spec.origin.where(path)
    if where.startswith("--set "):
        return where
    part, name = [*path.split("."), ""][:2]
    section = {"rules": f"rules[{name}]", "macros": f"macros.{name}"}.get(part, part)
    return f"{section}, {where}"


def leaves(nested: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted name, value) of everything in nested mappings that is no mapping."""
    for name, value in nested.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for name, value in values.items():
        *parents, last = name.split(".")
        place = nested
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return nested


def _default_macro(spec: HardwareSpec) -> tuple[str, str]:
    """Return name and path of the only macro, or nothing where there are several."""
    names = list(spec.macros)
    return (names[0], f"macros.{names[0]}") if len(names) == 1 else ("", "")


def _choose_macro(spec: HardwareSpec, chosen: tuple[str, str], values: dict[str, Any], paths: dict[str, str]) -> None:
    name, path = chosen
    macro = Macro() if name == "" and path == "" else _macro_called(spec, name, path)
    written = dict(leaves(written_fields(macro)))
    values["macro_name"] = name
    paths["macro_name"] = path
    for field, value in leaves(macro.model_dump()):
        values[_PREFIX + field] = value
        paths[_PREFIX + field] = f"macros.{name}.{field}" if field in written else ""


def _macro_called(spec: HardwareSpec, name: str, path: str) -> Macro:
    if name in spec.macros:
        return spec.macros[name]
    raise SpecError([undefined_macro(spec, name, path)])


def undefined_macro(spec: HardwareSpec, name: str, path: str) -> SpecIssue:
    """Return the issue of a macro that is named but not defined."""
    return SpecIssue(spec.origin.where(path), path, unknown_name(name, list(spec.macros), "macro"))
