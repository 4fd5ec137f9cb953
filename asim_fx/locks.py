"""A lock on an open file that ends with the process that holds it, however that process ends."""

from __future__ import annotations

import os
import sys
from typing import BinaryIO


def lock(stream: BinaryIO) -> bool:
    """Lock a file until it is closed, and return whether that was possible: False where another process holds it.

    Args:
        stream: open for writing. Only processes that call this as well are kept out.
    """
    if sys.platform == "win32":
        import msvcrt

        place = stream.tell()
        stream.seek(2**30)  # Windows keeps others from reading what is locked, so the lock lies behind the content
        try:
            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            stream.seek(place, os.SEEK_SET)
        return True
    import fcntl

    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks is no reason not to work
        return True
    return True
