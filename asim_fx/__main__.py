"""``python -m asim_fx`` is ``asim``: for launchers that take a module, as torchrun does."""

from asim_fx.cli.main import run

run()
