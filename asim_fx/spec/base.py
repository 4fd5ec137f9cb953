"""The base of every part of a spec, and the kinds of numbers that its parts share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

PositiveInt = Annotated[int, Field(ge=1)]
Extent = Annotated[int, Field(ge=1, le=2**20)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Known = Positive | Literal["unknown"]
"""A figure above 0, or the word ``unknown``: a figure that nobody published is never taken for 0."""


class SpecModel(BaseModel):
    """Base of all parts of a spec: frozen, strict about types, no unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def known(value: float | str) -> float | None:
    """Return a figure, or None where it is ``unknown``."""
    return None if isinstance(value, str) else value
