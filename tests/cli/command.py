"""Run a command in this process, as the shell would."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from asim_fx.cli import main

ENTRIES: dict[str, Callable[[], None]] = {
    "asim": main.run,
    "asim-convert": main.run_convert,
    "asim-import": main.run_import,
    "asim-simulate": main.run_simulate,
    "asim-plan": main.run_plan,
    "asim-spec": main.run_spec,
    "asim-report": main.run_report,
    "asim-sweep": main.run_sweep,
    "asim-train": main.run_train,
}


@dataclass(frozen=True)
class Finished:
    code: int
    out: str
    err: str


def run(capsys: pytest.CaptureFixture[str], command: str, *arguments: object) -> Finished:
    """Run ``command`` with ``arguments``; return its exit code and what it printed."""
    capsys.readouterr()
    argv, sys.argv = sys.argv, [command, *map(str, arguments)]
    try:
        ENTRIES[command]()
        code = 0
    except SystemExit as stop:
        code = int(stop.code or 0)
    finally:
        sys.argv = argv
    captured = capsys.readouterr()
    # Whether the machine code is on disk already is no matter of the command.
    messages = [line for line in captured.err.splitlines(keepends=True) if not line.startswith("compiling the CPU")]
    return Finished(code, captured.out, "".join(messages))
