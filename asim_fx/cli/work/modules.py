"""Packages that a command needs and that an extra brings."""

from __future__ import annotations

from importlib.util import find_spec

from asim_fx.errors import UsageError


def refuse_missing(module: str, command: str, extra: str) -> None:
    """Refuse to run without a package.

    Raises:
        UsageError: it is not installed.
    """
    if find_spec(module) is None:
        message = f"{command} needs the package {module.replace('_', '-')}, which is not installed"
        raise UsageError(message, hint=f"pip install 'asim-fx[{extra}]'")
