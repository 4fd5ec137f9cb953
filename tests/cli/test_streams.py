"""What a shell does to standard output: a reader that leaves, a full disk, no such stream, an old encoding."""

from __future__ import annotations

import io
import os
import subprocess
from pathlib import Path

import pytest

from asim_fx.cli.streams import ReaderGoneError, safe_streams, write_document
from asim_fx.errors import OutputError
from tests.cli.shell import start

PLAN = ("asim-convert", "asim:digits_resnet", "ideal", "--dry-run")
FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")


def with_reader_gone(*command: object) -> tuple[int, str]:
    read, write = os.pipe()
    os.close(read)
    process = start(*command, stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    _, err = process.communicate(timeout=300)
    return process.returncode, err.decode()


@pytest.mark.parametrize(
    "command",
    [(*PLAN, "--report", "html"), PLAN, ("asim-spec", "list"), ("asim-spec", "schema"), ("asim-spec", "--help")],
)
def test_a_reader_that_leaves_is_no_error(command: tuple[str, ...]) -> None:
    assert with_reader_gone(*command) == (0, "")


@needs_full
@pytest.mark.parametrize(
    "command", [PLAN, ("asim-spec", "list"), ("asim-spec", "show", "ideal"), ("asim-spec", "--help")]
)
def test_a_full_disk_is_named(command: tuple[str, ...]) -> None:
    with FULL.open("w") as full:
        process = start(*command, stdout=full, stderr=subprocess.PIPE)
        _, err = process.communicate(timeout=300)
    assert err.decode() == "error: cannot write to standard output: No space left on device\n"
    assert process.returncode == 2


@needs_full
def test_what_stderr_cannot_take_changes_no_exit_code() -> None:
    with FULL.open("w") as full:
        process = start("asim-spec", "show", "idael", stdout=subprocess.PIPE, stderr=full)
        assert process.communicate(timeout=60) == (b"", None)
    assert process.returncode == 2


def test_an_ascii_locale_gets_what_ascii_has(tmp_path: Path) -> None:
    target = tmp_path / "ünï"
    command = ("asim-convert", "asim:digits_resnet", "ideal", "-o", target)
    process = start(*command, encoding="ascii", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert b"10 analog" in out.replace(b"  ", b" ")
    assert (out + err).isascii()
    assert (target / "manifest.json").is_file()


def test_documents_keep_every_character(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding="ascii"))
    with safe_streams():
        print("tables: \xb7")
        write_document("page: \xb7\n")
    assert raw.getvalue() == b"tables: ?\npage: \xc2\xb7\n"


class _Failing(io.StringIO):
    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error

    def flush(self) -> None:
        raise self.error


@pytest.mark.parametrize(
    ("error", "kind"),
    [(BrokenPipeError(32, "Broken pipe"), ReaderGoneError), (OSError(5, "Input/output"), OutputError)],
)
def test_what_only_the_flush_tells_is_told(monkeypatch: pytest.MonkeyPatch, error: OSError, kind: type) -> None:
    monkeypatch.setattr("sys.stdout", _Failing(error))
    with pytest.raises(kind), safe_streams():
        print("words")
