"""Files that a command writes: it never replaces one that the user has not given up."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from asim_fx.errors import UsageError


def refuse_lost(output: Path, sources: Iterable[Path], *, overwrite: bool) -> None:
    """Refuse to write over a file that the command reads, or over any other one without ``--overwrite``.

    Args:
        output: where a command is going to write.
        sources: what it reads; what is no file, such as the name of a shipped spec, is passed over.
        overwrite: whether the user gave up what is there.

    Raises:
        UsageError: the output is one of the sources, or exists without ``overwrite``.
    """
    if not output.exists():
        return
    if any(source.exists() and output.samefile(source) for source in sources):
        message = f"-o {output} is a file that the command reads; it would be lost"
        raise UsageError(message, hint="give -o another name")
    if not overwrite:
        message = f"{output} exists"
        raise UsageError(message, hint="--overwrite replaces it")
