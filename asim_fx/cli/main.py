"""The entry points: run a command, and turn every error into a message and an exit code."""

from __future__ import annotations

import os
import sys
import time
import traceback
from importlib import import_module
from typing import TYPE_CHECKING

from asim_fx.cli.interrupts import end_at_once, ending_at_interrupt
from asim_fx.cli.notices import show_log
from asim_fx.cli.streams import ReaderGoneError, safe_streams
from asim_fx.errors import AsimError, ExitCode
from asim_fx.sharding import shard_of_environment

if TYPE_CHECKING:
    from collections.abc import Callable

    import typer


def umbrella() -> typer.Typer:
    """Return the app behind ``asim``: the same commands under one name."""
    import typer

    from asim_fx.cli import convert, importing, plan, report, simulate, spec, sweep, train

    app = typer.Typer(name="asim", help="Compile PyTorch models onto analog compute-in-memory.", no_args_is_help=True)
    app.command("convert", help=convert.HELP)(convert.convert)
    app.command("simulate", help=simulate.HELP)(simulate.simulate)
    app.command("sweep", help=sweep.HELP)(sweep.sweep)
    app.command("plan", help=plan.HELP)(plan.plan)
    app.command("train", help=train.HELP)(train.train)
    app.add_typer(spec.app, name="spec")
    app.add_typer(report.app, name="report")
    app.add_typer(importing.app, name="import")
    return app


def run() -> None:
    """Run ``asim``."""
    _run(umbrella, "asim")


def run_convert() -> None:
    """Run ``asim-convert``."""
    _run(lambda: _app_of("convert"), "asim-convert")


def run_simulate() -> None:
    """Run ``asim-simulate``."""
    _run(lambda: _app_of("simulate"), "asim-simulate")


def run_sweep() -> None:
    """Run ``asim-sweep``."""
    _run(lambda: _app_of("sweep"), "asim-sweep")


def run_plan() -> None:
    """Run ``asim-plan``."""
    _run(lambda: _app_of("plan"), "asim-plan")


def run_train() -> None:
    """Run ``asim-train``."""
    _run(lambda: _app_of("train"), "asim-train")


def run_spec() -> None:
    """Run ``asim-spec``."""
    _run(lambda: _app_of("spec"), "asim-spec")


def run_report() -> None:
    """Run ``asim-report``."""
    _run(lambda: _app_of("report"), "asim-report")


def run_import() -> None:
    """Run ``asim-import``."""
    _run(lambda: _app_of("importing"), "asim-import")


def _app_of(module: str) -> typer.Typer:
    """Return the app of a module of this package: its own, or one of the command that is called as the module is."""
    import typer

    found = import_module(f"asim_fx.cli.{module}")
    if hasattr(found, "app"):
        own: typer.Typer = found.app
        return own
    app = typer.Typer()
    app.command(help=found.HELP)(getattr(found, module))
    return app


def _run(make_app: Callable[[], typer.Typer], name: str) -> None:
    """Run an app; end the process with one of the documented exit codes and never with a traceback for bad input.

    Args:
        make_app: imports and returns it; an interrupt of the imports is an ordinary one.
        name: of the command.
    """
    # Torch's threads wait for one another by spinning unless told before it is imported; on a machine with other work
    # that makes a command take several times as long.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with ending_at_interrupt():
        try:
            with safe_streams():
                app = make_app()
                show_log()
                app.pretty_exceptions_enable = False
                app(prog_name=name)
        except ReaderGoneError:
            sys.exit(ExitCode.OK)
        except AsimError as error:
            _fail(str(error), error.exit_code, error.hint)
        except KeyboardInterrupt:
            _fail("interrupted", ExitCode.INTERRUPTED)
        except Exception as error:
            if os.environ.get("ASIM_DEBUG"):
                traceback.print_exc()
            message = f"internal error: {type(error).__name__}: {error}"
            _fail(message, ExitCode.INTERNAL, "this is a defect of asim-fx; ASIM_DEBUG=1 shows where it happened")


_LEADER_FIRST = 3.0
"""Seconds that other processes wait before they tell an error: the launcher ends them where the leader has told it."""


def _fail(message: str, code: ExitCode, hint: str = "") -> None:
    from rich.markup import escape

    from asim_fx.cli.console import stderr

    shard = shard_of_environment()
    if not shard.leads:
        time.sleep(_LEADER_FIRST)
    with safe_streams():
        console = stderr()
        console.print(f"[bold red]error:[/] {escape(message)}", soft_wrap=True, emoji=False)
        if hint:
            console.print(f"[bold]hint:[/] {escape(hint)}", soft_wrap=True, emoji=False)
    if shard.count > 1:  # taking down what connects the processes can take seconds, in which the others tell the same
        end_at_once(code)
    sys.exit(code)
