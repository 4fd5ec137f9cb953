"""Write a file whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from asim_fx.errors import OutputError


def write_atomically(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Write a file so that a reader sees the old content or the new, never a part.

    The content goes to a temporary name in the same folder, which then replaces the file. Missing folders are
    made.

    Args:
        path: where to write.
        content: text, written as UTF-8 with its line ends as they are, or bytes.

    Raises:
        OutputError: the folder or the file cannot be written.
    """
    target = Path(path)
    data = content.encode("utf-8") if isinstance(content, str) else content
    temporary: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        mode = _mode_of(target)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
        temporary = Path(name)
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        temporary.chmod(mode)
        temporary.replace(target)
    except OSError as error:
        reason = error.strerror or str(error)
        message = f"cannot write {target}: {reason}"
        raise OutputError(message, hint="choose another place, or make this one writable") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _mode_of(target: Path) -> int:
    """Return the permissions the file has, or would get if it were simply opened; mkstemp's are 0600."""
    if target.exists():
        return target.stat().st_mode & 0o777
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask
