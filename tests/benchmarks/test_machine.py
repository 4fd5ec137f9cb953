from __future__ import annotations

from pathlib import Path

import torch

from benchmarks.machine import cpu_model, machine


def test_the_processor_is_named_by_the_system(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("processor\t: 0\nmodel name\t: Fast 3000: X\nmodel name\t: other\n")
    assert cpu_model(info) == "Fast 3000: X"


def test_something_is_said_where_the_system_is_silent(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert cpu_model(tmp_path / "missing")
    assert cpu_model(tmp_path / "empty") == cpu_model(tmp_path / "missing")


def test_torch_and_cores_are_named() -> None:
    assert torch.__version__ in machine()
    assert "cores" in machine()
