"""Whether the sources of a spec's numbers speak of fields that it has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from asim_fx.errors import SpecIssue
from asim_fx.spec.schema import HardwareSpec
from asim_fx.spec.words import unknown_name


def source_issues(spec: HardwareSpec) -> list[SpecIssue]:
    """Return an issue for each key of ``chip.sources`` that is the path of no field."""
    if spec.chip is None:
        return []
    fields = list(_paths(spec.model_dump(exclude={"chip"})))
    issues = []
    for path in spec.chip.sources:
        if path not in fields:
            place = f"chip.sources.{path}"
            issues.append(SpecIssue(spec.origin.where(place), place, unknown_name(path, fields, "field")))
    return issues


def _paths(tree: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in tree.items():
        yield f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from _paths(value, f"{prefix}{name}.")
