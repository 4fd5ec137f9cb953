"""The published simulator, for tests that compare with it: ``ASIM_CHECKOUT=PATH pytest`` runs them."""

from __future__ import annotations

import os
import sys
import types
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

VARIABLE = "ASIM_CHECKOUT"


def published(name: str) -> Any:
    """Return a module of a checkout of Keio-CSG/ASiM; the test is skipped where no path is given."""
    path = os.environ.get(VARIABLE)
    if not path:
        pytest.skip(f"set {VARIABLE} to a checkout of Keio-CSG/ASiM")
    root = str(Path(path).resolve())
    if root not in sys.path:
        sys.path.insert(0, root)
    if "easydict" not in sys.modules:  # all that it is used for: a dictionary with attributes
        sys.modules["easydict"] = types.ModuleType("easydict")
        sys.modules["easydict"].EasyDict = types.SimpleNamespace
    return import_module(name)
