from __future__ import annotations

import os
import signal
import time

import pytest

from asim_fx.processes import run_isolated


def behave(name: str) -> str:
    """Do what the name says; a function of a process must be importable by name."""
    match name:
        case "raises":
            message = "first line\nsecond line"
            raise ValueError(message)
        case "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        case "leaves":
            os._exit(7)
        case "hangs":
            time.sleep(60)
        case "eats":
            return str(len(bytearray(2**36)))
    return name.upper()


def test_one_that_fails_does_not_stop_the_rest() -> None:
    names = ["a", "raises", "dies", "leaves", "b"]
    outcomes = {outcome.name: outcome for outcome in run_isolated(behave, names)}
    assert list(outcomes) == names
    assert {name: outcome.result for name, outcome in outcomes.items() if not outcome.error} == {"a": "A", "b": "B"}
    assert outcomes["raises"].error == "ValueError: first line"
    assert "SIGKILL" in outcomes["dies"].error
    assert "exit code 7" in outcomes["leaves"].error


def test_time_is_limited() -> None:
    start = time.monotonic()
    outcomes = list(run_isolated(behave, ["hangs", "a"], jobs=2, seconds=10))
    assert [outcome.name for outcome in outcomes] == ["a", "hangs"]
    assert outcomes[1].error == "not done after 10 s"
    assert time.monotonic() - start < 40


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot limit memory")
def test_memory_is_limited() -> None:
    (outcome,) = run_isolated(behave, ["eats"], gigabytes=8)
    assert outcome.error == "MemoryError"


def test_names_are_taken_as_processes_get_free() -> None:
    taken = []

    def names():
        for name in "abcd":
            taken.append(name)
            yield name

    outcomes = run_isolated(behave, names(), jobs=2)
    next(outcomes)
    assert len(taken) <= 3
    outcomes.close()
