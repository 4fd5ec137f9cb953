"""The entry points: run a command, and turn every error into a message and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from typing import TYPE_CHECKING

from asim_fx.errors import AsimError, ExitCode

if TYPE_CHECKING:
    import typer


def umbrella() -> typer.Typer:
    """Return the app behind ``asim``: the same commands under one name."""
    import typer

    from asim_fx.cli import convert, simulate, spec

    app = typer.Typer(name="asim", help="Compile PyTorch models onto analog compute-in-memory.", no_args_is_help=True)
    app.command("convert", help=convert.HELP)(convert.convert)
    app.command("simulate", help=simulate.HELP)(simulate.simulate)
    app.add_typer(spec.app, name="spec")
    return app


def run() -> None:
    """Run ``asim``."""
    _run(umbrella(), "asim")


def run_convert() -> None:
    """Run ``asim-convert``."""
    from asim_fx.cli import convert

    _run(_single(convert.convert, convert.HELP), "asim-convert")


def run_simulate() -> None:
    """Run ``asim-simulate``."""
    from asim_fx.cli import simulate

    _run(_single(simulate.simulate, simulate.HELP), "asim-simulate")


def run_spec() -> None:
    """Run ``asim-spec``."""
    from asim_fx.cli import spec

    _run(spec.app, "asim-spec")


def _single(command: object, text: str) -> typer.Typer:
    import typer

    app = typer.Typer()
    app.command(help=text)(command)  # type: ignore[type-var]
    return app


def _run(app: typer.Typer, name: str) -> None:
    """Run an app; end the process with one of the documented exit codes and never with a traceback for bad input."""
    app.pretty_exceptions_enable = False
    # Torch's threads wait for one another by spinning unless told before it is imported; on a machine with other work
    # that makes a command take several times as long.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        app(prog_name=name)
    except AsimError as error:
        _fail(str(error), error.exit_code, error.hint)
    except BrokenPipeError:
        # The reader of a pipe left; what it wanted it has.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(ExitCode.OK)
    except KeyboardInterrupt:
        _fail("interrupted", ExitCode.INTERRUPTED)
    except Exception as error:
        if os.environ.get("ASIM_DEBUG"):
            traceback.print_exc()
        message = f"internal error: {type(error).__name__}: {error}"
        _fail(message, ExitCode.INTERNAL, "this is a defect of asim-fx; ASIM_DEBUG=1 shows where it happened")


def _fail(message: str, code: ExitCode, hint: str = "") -> None:
    from rich.markup import escape

    from asim_fx.cli.console import stderr

    console = stderr()
    console.print(f"[bold red]error:[/] {escape(message)}", soft_wrap=True)
    if hint:
        console.print(f"[bold]hint:[/] {escape(hint)}", soft_wrap=True)
    sys.exit(code)
