"""From plain values to a ``HardwareSpec``, or to every issue in plain words."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from asim_fx.errors import SpecIssue
from asim_fx.spec.json_schema import schema
from asim_fx.spec.schema import HardwareSpec
from asim_fx.spec.words import fields_of, in_words, schema_at, unknown_name, value_in_words

Path = tuple[str | int, ...]
_LEAST: dict[Path, Any] = {("version",): 1, ("name",): "", ("macros",): {}}
"""What stands in for a required field that is bad, so that the rest of the document can be checked too."""
_ROUNDS = 3
"""A bad value can hide others: the text of a list is looked at once all its items are text."""
_UNKNOWN, _MISSING, _OWN_WORDS, _BAD_KEY = (
    "extra_forbidden",
    "missing",
    "value_error",
    "string_pattern_mismatch",
)


@dataclass(frozen=True, slots=True)
class Validated:
    """The outcome of a validation.

    Attributes:
        spec: the document; where it has issues, what is left of it without the bad fields, or None.
        issues: what is wrong.
        removed: dotted paths of the bad fields that ``spec`` lacks.
    """

    spec: HardwareSpec | None
    issues: tuple[SpecIssue, ...] = ()
    removed: tuple[str, ...] = ()


def validate(data: Any, where: Callable[[str], str]) -> Validated:
    """Validate a document.

    Args:
        data: its plain values.
        where: gives the place of a dotted path, for the issues.
    """
    issues: list[SpecIssue] = []
    removed: list[str] = []
    data = copy.deepcopy(data)
    for _ in range(_ROUNDS):
        try:
            return Validated(HardwareSpec.model_validate(data), tuple(issues), tuple(removed))
        except ValidationError as error:
            found = _by_path(error.errors(), data)
        for path, details in found.items():
            issues.append(SpecIssue(where(dotted(path)), dotted(path), _message(path, details, data)))
            removed.append(dotted(path))
        for path in sorted(found, key=lambda path: (len(path), dotted(path)), reverse=True):
            _repair(data, path)
    return Validated(None, tuple(issues), tuple(removed))


def dotted(path: Sequence[str | int]) -> str:
    """Write a path as users do (``rules.2.vote.levels``)."""
    return ".".join(map(str, path))


def _by_path(errors: Sequence[ErrorDetails], data: Any) -> dict[Path, ErrorDetails]:
    """Keep one error for each field: of a choice, pydantic reports every branch that did not fit."""
    found: dict[Path, ErrorDetails] = {}
    for error in errors:
        found.setdefault(_document_path(error, data), error)
    return {path: error for path, error in found.items() if not any(_is_below(other, path) for other in found)}


def _is_below(path: Path, parent: Path) -> bool:
    return len(path) > len(parent) and path[: len(parent)] == parent


def _document_path(error: ErrorDetails, data: Any) -> Path:
    """Return the path of an error in the document, without pydantic's marks for branches of a choice."""
    path: list[str | int] = []
    for number, part in enumerate(error["loc"]):
        missing = error["type"] == _MISSING and number == len(error["loc"]) - 1
        inside = isinstance(data, dict) and part in data
        inside = inside or (isinstance(data, list) and isinstance(part, int) and part < len(data))
        if inside:
            data = data[part]
        if inside or missing:
            path.append(part)
    return tuple(path)


def _message(path: Path, error: ErrorDetails, data: Any) -> str:
    root = schema()
    parent = schema_at(path[:-1], root)
    if not path:
        return f"a hardware spec must be {in_words(root, root)}, not {value_in_words(data)}"
    if error["type"] == _MISSING:
        example = ", for example `version: 1`" if path == ("version",) else ""
        return f"this field is missing; it must be {in_words(schema_at(path, root) or {}, root)}{example}"
    if error["type"] == _BAD_KEY and path[0] == "chip":
        return f"a source is named by the dotted path of a field, which holds no spaces: '{path[-1]}'"
    if error["type"] == _BAD_KEY:
        return f"the name of a macro cannot hold spaces or dots: '{path[1]}'"
    if error["type"] == _UNKNOWN and parent is not None:
        return unknown_name(str(path[-1]), fields_of(parent, root), "field")
    if error["type"] == _OWN_WORDS:
        return str(error["ctx"]["error"])
    return f"must be {in_words(schema_at(path, root) or {}, root)}, not {value_in_words(error['input'])}"


def _repair(data: Any, path: Path) -> None:
    """Take a bad field out of a document, or put the least in that is valid."""
    if not path:
        return
    parent: Any = data
    for part in path[:-1]:
        parent = parent[part]
    last: Any = path[-1]
    kind = (path[0], len(path), last)
    if path in _LEAST:
        parent[last] = copy.deepcopy(_LEAST[path])
    elif kind == ("rules", 3, "match"):
        parent[last] = {}
    elif kind[:2] == ("rules", 2):
        parent[last] = {"match": {}}
    elif isinstance(parent, list):
        del parent[last]
    else:
        parent.pop(last, None)
