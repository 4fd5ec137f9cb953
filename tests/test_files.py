from __future__ import annotations

import stat

import pytest

from asim_fx.errors import ExitCode, OutputError
from asim_fx.files import write_atomically


def test_text_and_bytes_are_written_as_they_are(tmp_path):
    write_atomically(tmp_path / "new" / "a.txt", "\u03b1\r\nb\n")
    assert (tmp_path / "new" / "a.txt").read_bytes() == "\u03b1\r\nb\n".encode()
    write_atomically(str(tmp_path / "b"), b"\x00")
    assert (tmp_path / "b").read_bytes() == b"\x00"


def test_permissions_are_those_of_an_ordinary_file(tmp_path):
    (tmp_path / "plain").write_text("")
    write_atomically(tmp_path / "new", "")
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "plain").stat().st_mode
    (tmp_path / "plain").chmod(0o640)
    write_atomically(tmp_path / "plain", "x")
    assert stat.S_IMODE((tmp_path / "plain").stat().st_mode) == 0o640


@pytest.mark.parametrize("path", ["file/inside", "folder"])
def test_an_unwritable_place_is_an_output_error_and_leaves_nothing(tmp_path, path):
    (tmp_path / "file").write_text("kept")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="cannot write") as caught:
        write_atomically(tmp_path / path, "x")
    assert caught.value.exit_code is ExitCode.USAGE
    assert sorted(tmp_path.iterdir()) == [tmp_path / "file", tmp_path / "folder"]
    assert (tmp_path / "file").read_text() == "kept"


def test_a_failure_keeps_the_old_content(tmp_path, monkeypatch):
    target = tmp_path / "a"
    target.write_text("old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(OutputError, match="No space left on device"):
        write_atomically(target, "new")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]
