"""What a field may hold, in plain words, from its JSON schema: for messages and for the reference page."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from difflib import get_close_matches
from typing import Any

JsonSchema = Mapping[str, Any]
_MOST_NAMES = 12


def in_words(field: JsonSchema, root: JsonSchema) -> str:
    """Describe the values that a field takes (``a whole number from 1 to 24, or `ideal```).

    Args:
        field: JSON schema of the field.
        root: the schema that its references point into.
    """
    choices = [_one_in_words(choice, root) for choice in alternatives(field, root)]
    return ", or ".join(dict.fromkeys(choices))


def _one_in_words(field: JsonSchema, root: JsonSchema) -> str:
    constants = field.get("enum", [field["const"]] if "const" in field else None)
    if constants is not None:
        return _either([f"`{constant_text(constant)}`" for constant in constants])
    match field.get("type"):
        case "integer" if field.get("minimum") == field.get("maximum") is not None:
            return f"`{field['minimum']}`"
        case "integer":
            return "a whole number" + _limits(field)
        case "number":
            return "a number" + _limits(field)
        case "boolean":
            return "`true` or `false`"
        case "array":
            return "a list"
        case "object" if field.get("properties"):
            return f"a mapping with {_either(list(field['properties']))}"
        case "object":
            return "a mapping"
    return "text"


def _limits(field: JsonSchema) -> str:
    low, high = field.get("minimum"), field.get("maximum")
    if "exclusiveMinimum" in field:
        below = f" and at most {high:g}" if high is not None else ""
        return f" above {field['exclusiveMinimum']:g}{below}"
    if low is not None and high is not None:
        return f" from {low} to {high}"
    return f", {low} or more" if low is not None else ""


def _either(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def constant_text(value: object) -> str:
    """Write a constant as YAML does."""
    return value if isinstance(value, str) else json.dumps(value)


def value_in_words(value: object) -> str:
    """Describe a value that was found where it cannot be."""
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return f"the text '{value}'"
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    if isinstance(value, date):
        return f"the date {value} (write it in quotes)"
    if isinstance(value, float) and not math.isfinite(value):
        return "infinity" if math.isinf(value) else "not-a-number"
    return constant_text(value)


def alternatives(field: JsonSchema, root: JsonSchema) -> Iterator[JsonSchema]:
    """Yield the schemas that a field stands for, with references followed and ``null`` left out."""
    if "$ref" in field:
        yield from alternatives(root["$defs"][field["$ref"].removeprefix("#/$defs/")], root)
    elif "anyOf" in field:
        for choice in field["anyOf"]:
            yield from alternatives(choice, root)
    elif field.get("type") != "null":
        yield field


def schema_at(path: Sequence[str | int], root: JsonSchema) -> JsonSchema | None:
    """Return the schema of a field, or None where the document has no such field.

    Args:
        path: keys and indices from the root of the document.
        root: schema of the document.
    """
    field: JsonSchema | None = root
    for part in path:
        field = next((child for choice in alternatives(field or {}, root) if (child := _child(choice, part))), None)
        if field is None:
            return None
    return field


def _child(field: JsonSchema, part: str | int) -> JsonSchema | None:
    if field.get("type") == "array":
        items: JsonSchema | None = field.get("items")
        return items
    named: JsonSchema | None = field.get("properties", {}).get(part)
    return named or next(iter(field.get("patternProperties", {}).values()), None)


def fields_of(field: JsonSchema, root: JsonSchema) -> tuple[str, ...]:
    """Return the names that a mapping may hold: its own first, then dotted those of the mappings in it."""
    own = {name: child for choice in alternatives(field, root) for name, child in choice.get("properties", {}).items()}
    return (*own, *(f"{name}.{below}" for name, child in own.items() for below in fields_of(child, root)))


def unknown_name(name: str, known: Sequence[str], noun: str) -> str:
    """Return a message for a name that does not exist, with the nearest that does, or all.

    Args:
        name: what was asked for.
        known: what there is; dotted names are also found by their last part.
        noun: what it is (``field``, ``macro``).
    """
    parts = {one: one for one in known} | {one.rpartition(".")[2]: one for one in reversed(known) if "." in one}
    near = get_close_matches(name, parts, n=1, cutoff=0.6)
    if near:
        return f"there is no {noun} `{name}`; did you mean `{parts[near[0]]}`?"
    plain = [one for one in known if "." not in one]
    names = f"known are {', '.join(plain[:_MOST_NAMES])}{', ...' if len(plain) > _MOST_NAMES else ''}"
    return f"there is no {noun} `{name}`" + (f"; {names}" if plain else "")
