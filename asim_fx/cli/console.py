"""What all commands share: where text goes, and progress that only a person sees."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console
    from rich.progress import Progress


_PIPE_WIDTH = 1000
"""A pipe has no edge to wrap at; a table is as wide as its words."""
_LEAST_WIDTH = 32
"""No table fits a narrower terminal, which breaks the lines itself."""


def stdout() -> Console:
    """Return the console for results. Rich honours NO_COLOR and COLUMNS, and drops colour in a pipe."""
    from rich.console import Console

    console = Console(file=sys.stdout, highlight=False, soft_wrap=False)
    if not console.is_terminal and not os.environ.get("COLUMNS"):
        console.width = _PIPE_WIDTH
    console.width = max(console.width, _LEAST_WIDTH)
    return console


def stderr() -> Console:
    """Return the console for messages and progress."""
    from rich.console import Console

    return Console(file=sys.stderr, highlight=False)


@contextmanager
def stages(total: int) -> Iterator[Callable[[str], None]]:
    """Show a bar of ``total`` stages on stderr while the body runs; nothing where stderr is no terminal.

    Yields:
        a function to call with the name of the stage that begins.
    """
    with progress_bar() as bar:
        task = bar.add_task("starting", total=total)

        def begin(stage: str) -> None:
            bar.update(task, description=stage, advance=1)

        yield begin


def progress_bar(*, shown: bool = True) -> Progress:
    """Return a rich progress bar on stderr that vanishes when done and is off where stderr is no terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = stderr()
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not (shown and console.is_terminal),
    )
