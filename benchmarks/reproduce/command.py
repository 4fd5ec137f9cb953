"""A figure as a command: options that are checked before anything is computed, and errors in one line."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Never

from asim_fx.errors import AsimError, ExitCode, UsageError
from benchmarks.reproduce.drawing import FORMATS

MOST_ADC_BITS = 24


class Parser(argparse.ArgumentParser):
    """An argument parser that raises ``UsageError`` in the place of ending the process."""

    def error(self, message: str) -> Never:
        """Raise what is wrong with the options."""
        raise UsageError(message, hint=f"{self.prog} --help lists the options")


def run(main: Callable[[], None]) -> None:
    """Run a command; end the process as those of asim-fx end, without a traceback for bad input."""
    try:
        main()
    except AsimError as error:
        print(f"error: {error}", file=sys.stderr)
        if error.hint:
            print(f"hint: {error.hint}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        sys.exit(ExitCode.INTERRUPTED)


def count(text: str) -> int:
    """Return a whole number of 1 or more."""
    value = int(text)
    if value < 1:
        msg = f"{value} is below 1"
        raise argparse.ArgumentTypeError(msg)
    return value


def adc_bits(text: str) -> int:
    """Return the bits of a converter."""
    value = int(text)
    if not 1 <= value <= MOST_ADC_BITS:
        msg = f"{value} is not from 1 to {MOST_ADC_BITS}"
        raise argparse.ArgumentTypeError(msg)
    return value


def share(text: str) -> float:
    """Return a finite number of 0 or more."""
    value = float(text)
    if not 0 <= value < math.inf:
        msg = f"{text} is no finite number of 0 or more"
        raise argparse.ArgumentTypeError(msg)
    return value


def positive(text: str) -> float:
    """Return a finite number above 0."""
    value = share(text)
    if not value:
        msg = f"{text} is not above 0"
        raise argparse.ArgumentTypeError(msg)
    return value


def plot_file(text: str) -> Path:
    """Return where to draw, once it is known that it can be drawn there: a figure takes hours to compute."""
    path = Path(text)
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        msg = "matplotlib is not installed; pip install 'asim-fx[explore]'"
        raise argparse.ArgumentTypeError(msg) from error
    if path.suffix not in FORMATS:
        msg = f"{path.name} does not end in {', '.join(FORMATS)}"
        raise argparse.ArgumentTypeError(msg)
    if not path.absolute().parent.is_dir():
        msg = f"there is no folder {path.parent}"
        raise argparse.ArgumentTypeError(msg)
    return path
