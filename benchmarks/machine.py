"""Which machine a figure was measured on: a figure without one says little."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import torch

CPU_INFO = Path("/proc/cpuinfo")


def machine() -> str:
    """Return processor, cores and torch version in one line."""
    return f"{cpu_model()}, {os.cpu_count()} cores, torch {torch.__version__}"


def cpu_model(info: Path = CPU_INFO) -> str:
    """Return the name of the processor, or of its architecture where the system does not tell."""
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name" and value.strip():
                return value.strip()
    return platform.processor() or platform.machine()
