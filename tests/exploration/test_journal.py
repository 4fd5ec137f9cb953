from __future__ import annotations

import resource
from pathlib import Path

import pytest

from asim_fx.errors import OutputError, UsageError
from asim_fx.exploration.journal import cell_journal
from tests.exploration.standins import measure

HEADER = {"model": "m", "data": "d"}
CELLS = [(("bits", str(bits)), ("reads", "1")) for bits in (5, 6, 7)]


def write(path: Path, count: int = 3, **options: bool) -> None:
    with cell_journal(path, HEADER, **options) as journal:
        for settings in CELLS[:count]:
            if journal.get(settings) is None:
                journal.append(measure(settings))


def test_resumed_results_are_the_same_bytes(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole.jsonl", tmp_path / "parts.jsonl"
    write(whole)
    write(parts, 1)
    write(parts, 2, resume=True)
    write(parts, 3, resume=True)
    assert parts.read_bytes() == whole.read_bytes()


def test_any_cut_is_mended(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.jsonl", tmp_path / "cut.jsonl"
    write(whole)
    data = whole.read_bytes()
    for length in range(0, len(data), 7):
        cut.write_bytes(data[:length])
        write(cut, resume=True)
        assert cut.read_bytes() == data


def test_the_order_of_settings_does_not_matter(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl")
    with cell_journal(tmp_path / "a.jsonl", HEADER, resume=True) as journal:
        assert journal.get(tuple(reversed(CELLS[0]))) is not None
        assert journal.get((("bits", "8"),)) is None


def test_a_foreign_journal_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write(path)
    before = path.read_bytes()
    with (
        pytest.raises(UsageError, match="other images"),
        cell_journal(path, {**HEADER, "data": "x"}, resume=True),
    ):
        pass
    with pytest.raises(UsageError, match="already holds"), cell_journal(path, HEADER):
        pass
    assert path.read_bytes() == before
    write(path, 1, overwrite=True)
    assert len(path.read_text().splitlines()) == 2


def test_the_message_is_for_people(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    here = {"data": "5f" * 32, "seeds": [0, 1], "batch_size": 4, "calibration": None, "about": {"data": "digits, test"}}
    there = {**here, "data": "77" * 32, "seeds": [2], "calibration": "9c" * 32, "about": {"data": "cats, train"}}
    with cell_journal(path, there):
        pass
    with pytest.raises(UsageError) as refused, cell_journal(path, here, resume=True):
        pass
    words = str(refused.value)
    assert "there: cats, train; here: digits, test" in words
    assert "other --seeds - there: 2; here: 0, 1" in words
    assert "other images to calibrate on (--calibrate" in words
    assert not any(key in words for key in ("batch_size", "5f5f", "9c9c"))
    # What is told about the data is not compared.
    with cell_journal(path, {**there, "about": {"data": "cats and dogs, train"}}, resume=True):
        pass


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"what": "asim-simulate"}', "not a results file of asim-sweep"),
        ('{"what": "asim-sweep", "format": 0}', "another version"),
    ],
)
def test_other_files(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(UsageError, match=words), cell_journal(path, HEADER, resume=True):
        pass


@pytest.mark.parametrize("line", [b"nonsense\n", b"[1]\n", b'{"settings": 5}\n'])
def test_a_damaged_line_is_refused(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "a.jsonl"
    write(path, 1)
    path.write_bytes(path.read_bytes() + line)
    with pytest.raises(UsageError, match=":3 is no result"), cell_journal(path, HEADER, resume=True):
        pass


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    with pytest.raises(OutputError), cell_journal(tmp_path, HEADER, overwrite=True):
        pass


def test_a_full_disk(tmp_path: Path) -> None:
    """Of a limit on the size of files a process is told as of a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    path = tmp_path / "a.jsonl"
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (400, limits[1]))
        with pytest.raises(OutputError, match="cannot write"):
            write(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    write(path, resume=True)
    write(tmp_path / "whole.jsonl")
    assert path.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_without_a_file() -> None:
    with cell_journal(None, HEADER) as journal:
        journal.append(measure(CELLS[0]))
        assert journal.get(CELLS[0]) == measure(CELLS[0])


@pytest.mark.parametrize(
    "content", [b"my notes, in one line", b"\x00\x01", b'{"what": "asim-sweep", "format": 1, "model"x']
)
def test_a_file_of_one_line_that_is_something_else(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="not a results file"), cell_journal(path, HEADER, resume=True):
        pass
    assert path.read_bytes() == content


def test_two_sweeps_do_not_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    for options in ({"resume": True}, {"overwrite": True}):
        with cell_journal(path, HEADER, resume=True) as journal:
            journal.append(measure(CELLS[0]))
            before = path.read_bytes()
            with (
                pytest.raises(UsageError, match="in use by another run of asim-sweep"),
                cell_journal(path, HEADER, **options),
            ):
                pass
            journal.append(measure(CELLS[1]))
            assert path.read_bytes().startswith(before)
    write(path, resume=True)  # free again


def test_a_line_is_on_disk_before_the_next_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.jsonl"
    synced: list[int] = []
    monkeypatch.setattr("os.fsync", lambda _: synced.append(path.read_bytes().count(b"\n")))
    write(path)
    assert synced == [1, 2, 3, 4]
