"""Notices on stderr: a person is told once why the first simulation takes longer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys
from asim_fx.cli.notices import show_log
if "show" in sys.argv:
    show_log()
    show_log()
import numpy as np
from asim_fx.ops.engines.cpu.packing import packed
packed(np.zeros(8, np.int16), np.zeros(1, np.int64), np.arange(8), 8, 4)
packed(np.zeros(8, np.int16), np.zeros(1, np.int64), np.arange(8), 8, 4)
"""


def _stderr(cache: Path, *arguments: str) -> str:
    command = [sys.executable, "-c", PROGRAM, *arguments]
    environment = {"NUMBA_CACHE_DIR": str(cache), "PATH": "/usr/bin:/bin"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stderr


def test_compiling_is_told_once_and_only_when_it_happens(tmp_path: Path) -> None:
    pytest.importorskip("numba")
    assert _stderr(tmp_path, "show").count("compiling the CPU engine") == 1
    assert _stderr(tmp_path, "show") == ""


def test_a_library_says_nothing(tmp_path: Path) -> None:
    pytest.importorskip("numba")
    assert _stderr(tmp_path) == ""
