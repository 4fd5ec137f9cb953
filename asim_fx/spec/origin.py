"""Where a hardware spec came from, and the line of every field in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

PYTHON = "<python>"
"""Shown as the file of a spec that was built in Python."""


@dataclass(frozen=True, slots=True)
class SpecOrigin:
    """The document behind a spec. No part of its value: two specs that say the same are equal.

    Attributes:
        name: the file as it is shown to users (``chip.yaml``).
        text: the document, verbatim.
        lines: dotted path -> line of its key, counted from 1.
        overrides: what was changed on top, each as ``a.b=value``.
        overridden: dotted path -> the flag that set it (``--set a.b=value``).
    """

    name: str = field(default=PYTHON, compare=False)
    text: str = field(default="", compare=False)
    lines: Mapping[str, int] = field(default_factory=dict, compare=False)
    overrides: tuple[str, ...] = field(default=(), compare=False)
    overridden: Mapping[str, str] = field(default_factory=dict, compare=False)

    def where(self, path: str) -> str:
        """Return where a field was written, or the nearest parent that was.

        Args:
            path: dotted path in the document (``rules.2.vote.levels``).

        Returns:
            ``chip.yaml:14``, ``--set a.b=value``, or ``<python>``.
        """
        parts = path.split(".") if path else []
        for length in range(len(parts), 0, -1):
            parent = ".".join(parts[:length])
            if parent in self.overridden:
                return self.overridden[parent]
            if parent in self.lines:
                return f"{self.name}:{self.lines[parent]}"
        return f"{self.name}:1" if self.text else self.name
