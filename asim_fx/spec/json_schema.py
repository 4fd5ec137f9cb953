"""The JSON schema of a hardware spec, for editors; error messages and the reference page read it too."""

from __future__ import annotations

import copy
from functools import lru_cache
from typing import Any

from asim_fx.spec.schema import HardwareSpec, Settings

_FIRST_IN_RULE = ("match", "why", "optional", "macro")


@lru_cache(maxsize=1)
def _built() -> dict[str, Any]:
    built = {"$schema": "https://json-schema.org/draft/2020-12/schema", **HardwareSpec.model_json_schema()}
    built["title"] = "asim-fx hardware spec"
    # A rule changes what it mentions; a default beside its fields would say otherwise.
    fields = built["$defs"]["Rule"]["properties"]
    for name in Settings.model_fields:
        fields[name].pop("default", None)
    built["$defs"]["Rule"]["properties"] = {name: fields[name] for name in (*_FIRST_IN_RULE, *fields)}
    built["properties"]["macros"]["additionalProperties"] = False
    built["$defs"]["Chip"]["properties"]["sources"]["additionalProperties"] = False
    _drop_null(built)
    return built


def _drop_null(part: Any) -> None:
    """Remove ``null`` from every choice: it stands for a field left out, and nobody should write it."""
    if isinstance(part, list):
        for item in part:
            _drop_null(item)
    if isinstance(part, dict):
        choices = part.get("anyOf")
        if isinstance(choices, list) and {"type": "null"} in choices:
            choices.remove({"type": "null"})
            part.pop("default", None)
            if len(choices) == 1:
                part.update(part.pop("anyOf")[0])
        for item in part.values():
            _drop_null(item)


def schema() -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) of a hardware spec, unknown fields refused."""
    return copy.deepcopy(_built())
