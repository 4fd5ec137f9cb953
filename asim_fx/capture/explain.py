"""What torch says of a failure, in one line for the user."""

from __future__ import annotations

import io
import logging
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import torch

_FRAMES = ("Traceback", "File ", "from user code")


def one_line(error: BaseException) -> str:
    """Return what an error says in one line, with the place in the model's own code where there is one."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = next((line for line in lines if not line.startswith(_FRAMES)), type(error).__name__)
    if said.startswith("Constraints violated"):
        said = next((line.removeprefix("- ") for line in lines if line.startswith("- ")), said)
    place = _place(error)
    return f"{said} ({place})" if place else said


def _place(error: BaseException) -> str:
    inside = str(Path(torch.__file__).parent), str(Path(__file__).parent)
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith(inside) and Path(frame.filename).is_file()]
    skip = ("contextlib.py", "inspect.py", "copy.py")
    own = [frame for frame in own if not frame.filename.endswith(skip)]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else ""


def advice(error: Exception, batch: int) -> str:
    """Return what the user can do about a failed export."""
    text = f"{type(error).__name__} {error}"
    if "specialized" in text or "Constraints violated" in text:
        return (
            f"The model fixes its batch at {batch}; it must work for any batch (use -1 or x.shape[0] in its reshapes)."
        )
    if "DataDependent" in text or "data-dependent" in text:
        return "The model branches on values of its input; convert the parts that do not (a backbone, a head) instead."
    return "Try torch.export.export(model.eval(), (example,)) alone; what it says there applies here."


@contextmanager
def quietly() -> Iterator[None]:
    """Keep torch.export's graphs and warnings off the terminal: what matters of a failure is in our own message."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
