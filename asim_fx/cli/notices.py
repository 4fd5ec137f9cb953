"""What the package logs, shown on stderr by the commands: why a person has to wait."""

from __future__ import annotations

import logging


class _OnStderr(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        from asim_fx.cli.console import stderr

        stderr().print(self.format(record), markup=False)


def show_log() -> None:
    """Show what the package logs from level INFO on. As a library it leaves that to the program that uses it."""
    logger = logging.getLogger("asim_fx")
    if not any(isinstance(handler, _OnStderr) for handler in logger.handlers):
        logger.addHandler(_OnStderr())
        logger.setLevel(logging.INFO)
        logger.propagate = False
