"""Settings that cannot stand together, as a value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Conflict:
    """Settings that cannot stand together.

    Attributes:
        fields: the settings that take part (``macro.adc.bits``), the one to blame first.
        message: what is wrong and what would be right.
    """

    fields: tuple[str, ...]
    message: str
