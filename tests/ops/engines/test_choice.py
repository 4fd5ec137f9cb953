from __future__ import annotations

import subprocess
import sys
import warnings

import pytest

from asim_fx.errors import UsageError
from asim_fx.ops.engines import choice, plain
from asim_fx.ops.engines.cpu import engine as cpu


def test_auto_takes_the_fastest_that_the_device_has() -> None:
    assert choice.engine_for("auto", "cpu") is cpu.simulate
    assert choice.engine_for("torch", "cpu") is plain.simulate
    assert choice.engine_for("cpu", "cpu") is cpu.simulate
    assert choice.engine_name("auto", "mps") == "torch"
    assert choice.describe("auto").startswith("cpu (numba ")
    assert choice.describe("torch") == "torch (as chosen)"


def test_an_engine_of_another_device_is_refused() -> None:
    with pytest.raises(UsageError, match="engine: cpu cannot compute what lies on the device cuda"):
        choice.engine_for("cpu", "cuda")


def test_without_numba_the_plain_engine_runs_with_one_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "has_numba", lambda: False)
    choice._notice_once.cache_clear()
    with pytest.warns(UserWarning, match="numba is not installed"):
        assert choice.engine_for("auto", "cpu") is plain.simulate
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert choice.engine_for("auto", "cpu") is plain.simulate
    assert choice.describe("auto") == "torch (numba is not installed)"
    with pytest.raises(UsageError, match="numba is not installed"):
        choice.engine_for("cpu", "cpu")


def test_numba_is_imported_only_where_it_computes() -> None:
    code = "import sys, asim_fx, asim_fx.conversion; assert 'numba' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
