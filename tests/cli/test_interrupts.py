"""Ctrl-C, at any time: exit code 130, a word about it, and nothing half written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from asim_fx.cli.interrupts import raising_interrupts
from tests.cli.shell import start


# The imports of torch and its export take seconds; an interpreter needs some tenths before it can run anything.
@pytest.mark.parametrize("seconds", [0.8, 1.3, 1.9, 2.6, 3.4])
def test_a_conversion_ends_at_once(tmp_path: Path, seconds: float) -> None:
    target = tmp_path / "out"
    command = ("asim-convert", "asim:digits_resnet", "ideal", "-o", target)
    process = start(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(seconds)
    finished = process.poll() is not None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    # Python takes its own handlers down before the last memory is freed: a signal that late ends a finished process.
    finished |= process.returncode == -signal.SIGINT and (target / "manifest.json").is_file()
    if finished:
        pytest.skip("it was done before")
    assert process.returncode == 130
    assert err.decode() == "error: interrupted\n"
    left = list(tmp_path.iterdir())
    assert left == [] or (left == [target] and (target / "manifest.json").is_file())


def test_before_the_first_batch_it_says_so_too(artifact: Path) -> None:
    process = start("asim-simulate", artifact, "--data", "digits", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in err.decode()


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_a_clean_up_is_not_disturbed() -> None:
    steps = []

    def work() -> None:
        try:
            interrupt()
            steps.append("went on")
        finally:
            interrupt()
            steps.append("cleaned up")

    with pytest.raises(KeyboardInterrupt), raising_interrupts():
        work()
    assert steps == ["cleaned up"]


@pytest.mark.parametrize("instead", [None, RecursionError()])
def test_an_interrupt_is_not_lost(instead: Exception | None) -> None:
    def work() -> None:
        try:
            interrupt()
        except KeyboardInterrupt:
            if instead is not None:
                raise instead from None

    with pytest.raises(KeyboardInterrupt), raising_interrupts():
        work()


def test_other_errors_stay_what_they_are() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ZeroDivisionError), raising_interrupts():
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGINT) is before


FLAGGED = """
import os, signal, sys
from asim_fx.cli.interrupts import interrupt_flag

def interrupt(number=signal.SIGINT):
    os.kill(os.getpid(), number)

with interrupt_flag() as stopped:
    children = []
    for number in (signal.SIGINT, signal.SIGTERM):
        child = os.fork()
        if child == 0:  # as a process that decodes images
            for _ in range(3):
                interrupt(number)
            os._exit(7)
        children.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    print(*children, stopped())
    interrupt()
    print(stopped(), flush=True)
    if "twice" in sys.argv:
        interrupt()
"""


def flagged(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", FLAGGED, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | environment, timeout=60)


def test_the_first_interrupt_of_a_training_is_answered() -> None:
    once = flagged()
    assert once.returncode == 0
    assert once.stdout == "7 130 False\nTrue\n"  # forks survive Ctrl-C, end at SIGTERM, and say nothing
    assert once.stderr == ("interrupted: the run stops before its next update\nhint: interrupt again to stop at once\n")


def test_the_second_interrupt_promises_no_checkpoint() -> None:
    twice = flagged("twice")
    assert twice.returncode == 130
    assert twice.stderr.splitlines()[2:] == [
        "error: interrupted",
        "hint: with --resume the same command goes on from its last checkpoint, if any",
    ]


def test_of_several_processes_one_answers() -> None:
    assert flagged("twice", RANK="1", WORLD_SIZE="2").stderr == ""
