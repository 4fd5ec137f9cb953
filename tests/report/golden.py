"""Compare with a file that was looked at. ``ASIM_REFRESH_GOLDEN=1`` writes the files anew; look at the difference."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(__file__).parent / "golden"


def check(name: str, text: str) -> None:
    """Assert that ``text`` is the content of ``golden/name``."""
    path = FOLDER / name
    if os.environ.get("ASIM_REFRESH_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
    assert text == path.read_bytes().decode("utf-8"), f"{path} differs; ASIM_REFRESH_GOLDEN=1 writes it anew"
