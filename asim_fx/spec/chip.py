"""The published chip that a spec describes, and where every number of the spec comes from."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from asim_fx.spec.base import SpecModel

FieldPath = Annotated[str, Field(pattern=r"^\S+$")]
NOT_PUBLISHED = "unknown"
"""Stands in ``sources`` for a field that nobody published: the spec holds a stand-in for it."""


class Chip(SpecModel):
    """The published chip that the spec describes, and the source of every number in the spec."""

    title: str = Field("", description="Title of the publication.")
    authors: str = Field("", description="Who published it.")
    venue: str = Field("", description="Conference or journal.")
    year: Annotated[int, Field(ge=1950, le=2100)] | None = Field(None, description="Year of the publication.")
    cell: str = Field("", description="Bit cell, such as `8T1C`.")
    facts: list[str] = Field(default_factory=list, description="What else was published, such as measured accuracy.")
    sources: dict[FieldPath, str] = Field(
        default_factory=dict,
        description="Dotted path of a field (`macros.m.rows`), or of a part for all in it, to where its number was "
        "published; `unknown`: it was not, and what the spec says is a stand-in.",
    )

    def unpublished(self) -> tuple[str, ...]:
        """Return the paths of the fields whose real values nobody published."""
        return tuple(path for path, source in self.sources.items() if source == NOT_PUBLISHED)

    def source_of(self, path: str) -> str:
        """Return the source of a field: its own, or that of the nearest part that holds it; empty where none is."""
        parts = path.split(".")
        held = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
        return next((self.sources[parent] for parent in held if parent in self.sources), "")
