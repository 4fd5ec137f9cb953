from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from asim_fx.locks import lock

HOLD = "import sys; from asim_fx.locks import lock; f = open(sys.argv[1], 'rb+'); print(lock(f), flush=True); input()"


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    holder = subprocess.Popen([sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"True\n"
    with path.open("rb+", buffering=0) as stream:
        assert not lock(stream)
        holder.kill()
        holder.wait()
        assert lock(stream)
        assert stream.read() == b"content"
    with path.open("rb+", buffering=0) as stream:
        assert lock(stream)
