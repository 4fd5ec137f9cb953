"""Run a command in a process of its own, with the streams and signals of a shell."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENTRIES = {
    "asim-convert": "run_convert",
    "asim-simulate": "run_simulate",
    "asim-spec": "run_spec",
    "asim-train": "run_train",
    "asim-report": "run_report",
}


def start(command: str, *arguments: object, encoding: str = "utf-8", **streams: object) -> subprocess.Popen[bytes]:
    """Start ``command``; ``streams`` are arguments of Popen."""
    entry = ENTRIES[command]
    program = f"from asim_fx.cli.main import {entry} as run; run()"
    environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LC_ALL", "PYTHONUTF8")}
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        env={**environment, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": encoding},
        # A test run in the background ignores interrupts, which its children would inherit.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        **streams,
    )
