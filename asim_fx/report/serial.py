"""The report as JSON, and back."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from asim_fx.errors import ArtifactError
from asim_fx.report.rows import MappingReport


def to_json(report: MappingReport) -> str:
    """Return the report as JSON: ``{"totals": {...}, "sites": [...], "unmapped": [...], ...}``.

    A site is a ReportRow by its field names. What is not known or does not apply is null. The same report
    gives the same text.
    """
    return json.dumps(as_data(report), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def as_data(report: MappingReport) -> dict[str, Any]:
    """Return the report as plain values, named as in the JSON form."""
    data = asdict(report)
    sites = data.pop("rows")
    return {"totals": data.pop("totals"), "sites": sites, "unmapped": data.pop("unmapped"), **data}


def from_json(text: str | bytes) -> MappingReport:
    """Return the report that ``to_json`` wrote.

    Raises:
        ArtifactError: the text is no JSON, or no such report.
    """
    try:
        data = json.loads(text)
        data["rows"] = data.pop("sites")
        unknown = sorted(set(data) - {field.name for field in fields(MappingReport)})
        if unknown:
            raise KeyError(unknown[0])
        return _adapter().validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        message = f"not a mapping report: {where}: {first['msg'].lower()}"
        raise ArtifactError(message, hint=_HINT) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"not a mapping report: {error}"
        raise ArtifactError(message, hint=_HINT) from error


_HINT = "it must be the report.json that asim-convert wrote, unchanged"


@cache
def _adapter() -> TypeAdapter[MappingReport]:
    return TypeAdapter(MappingReport)
