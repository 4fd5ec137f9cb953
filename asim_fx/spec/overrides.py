"""``--set a.b=value``: fields of a document changed from outside, before it is validated."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from asim_fx.errors import SpecIssue
from asim_fx.spec.words import unknown_name, value_in_words
from asim_fx.spec.yaml_text import parse_value


class _CannotSetError(Exception):
    """An override that cannot be applied; the message is for the user."""


@dataclass(slots=True)
class Overridden:
    """A document after its overrides.

    Attributes:
        data: the document.
        lines: dotted path -> line, of the fields that are still as the file says.
        flags: dotted path -> the flag that set it.
        issues: overrides that could not be applied.
    """

    data: Any
    lines: dict[str, int]
    flags: dict[str, str] = field(default_factory=dict)
    issues: list[SpecIssue] = field(default_factory=list)


def apply_overrides(data: Any, lines: Mapping[str, int], overrides: Sequence[str]) -> Overridden:
    """Set fields of a document, in order. Mappings on the way that are missing are made.

    Args:
        data: the document; left as it is.
        lines: dotted path -> line of its fields.
        overrides: each ``a.b=value``, the value in YAML; list items by their number from 0.
    """
    result = Overridden(copy.deepcopy(data), dict(lines))
    for override in overrides:
        path, equals, value = override.partition("=")
        parts = path.strip().split(".")
        try:
            if not equals or not all(parts):
                message = "must look like `path.to.field=value`, for example `defaults.weight_bits=6`"
                raise _CannotSetError(message)
            _set(result, parts, parse_value(value), f"--set {override}")
        except (_CannotSetError, ValueError) as error:
            result.issues.append(SpecIssue(f"--set {override}", path.strip() if equals else "", str(error)))
    return result


def _set(result: Overridden, parts: Sequence[str], value: Any, flag: str) -> None:
    if not isinstance(result.data, dict):
        message = "the document is not a mapping, so nothing in it can be set"
        raise _CannotSetError(message)
    parent: Any = result.data
    for depth, part in enumerate(parts[:-1]):
        here = ".".join(parts[: depth + 1])
        key = _key(parent, part, here)
        if isinstance(parent, dict) and key not in parent:
            if parts[:depth] == ["macros"]:
                raise _CannotSetError(unknown_name(part, list(parent), "macro"))
            if here == "rules":
                raise _CannotSetError(_no_item(".".join(parts[: depth + 2]), []))
            parent[key] = {}
            result.flags[here] = flag
        parent = parent[key]
        if not isinstance(parent, dict | list):
            message = f"`{here}` is {value_in_words(parent)}, which has no fields"
            raise _CannotSetError(message)
    path = ".".join(parts)
    parent[_key(parent, parts[-1], path)] = value
    for record in (result.lines, result.flags):
        for below in [known for known in record if known.startswith(f"{path}.")]:
            del record[below]
    result.flags[path] = flag


def _key(parent: Any, part: str, path: str) -> str | int:
    if isinstance(parent, dict):
        return part
    if part.isdecimal() and int(part) < len(parent):
        return int(part)
    raise _CannotSetError(_no_item(path, parent))


def _no_item(path: str, items: Sequence[Any]) -> str:
    if not items and path.startswith("rules."):
        return f"`{path}` does not exist: there are no rules"
    count = f"{len(items)} items, numbered from 0" if items else "no items"
    return f"`{path}` does not exist: the list has {count}"
