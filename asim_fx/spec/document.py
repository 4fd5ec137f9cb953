"""A spec as a document again, with every field that its author left out."""

from __future__ import annotations

import io
from typing import Any

from ruamel.yaml import YAML

from asim_fx.spec.schema import HardwareSpec


def complete_document(spec: HardwareSpec) -> dict[str, Any]:
    """Return the document with all defaults written out; rules stay as written, for they change only what they say.

    The result loads as an equal chip.
    """
    defaults = spec.defaults.model_dump()
    if defaults["macro"] is None and len(spec.macros) == 1:
        defaults["macro"] = next(iter(spec.macros))
    return {
        "version": spec.version,
        "name": spec.name,
        "description": spec.description,
        **({} if spec.chip is None else {"chip": spec.chip.model_dump(exclude_none=True)}),
        "macros": {name: macro.model_dump() for name, macro in spec.macros.items()},
        "defaults": {name: value for name, value in defaults.items() if value is not None},
        "rules": [_match_first(rule.model_dump()) for rule in spec.rules],
    }


def asks_for_calibration(spec: HardwareSpec) -> bool:
    """Return whether a spec speaks of static scales, or of windows chosen on data: some site may need calibration."""
    return _says(complete_document(spec), {"scale": "static", "range": "calibrated"})


def _says(document: Any, wanted: dict[str, str]) -> bool:
    if isinstance(document, dict):
        return any(
            wanted.get(name) == value if isinstance(value, str) else _says(value, wanted)
            for name, value in document.items()
        )
    return isinstance(document, list | tuple) and any(_says(item, wanted) for item in document)


def _match_first(rule: dict[str, Any]) -> dict[str, Any]:
    return {"match": rule["match"], **rule}


def to_yaml(document: dict[str, Any]) -> str:
    """Write a document as YAML that people can read and ``load_spec`` can load."""
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # keeps the order of the keys
    yaml.width = 110
    text = io.StringIO()
    yaml.dump(document, text)
    return text.getvalue()
