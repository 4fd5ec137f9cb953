from __future__ import annotations

import json
from pathlib import Path

import pytest

from asim_fx.errors import OutputError, UsageError
from asim_fx.simulation.journal import BatchResult, open_journal

HEADER = {"model_identity": "a", "batch_size": 4}
FIRST = BatchResult("integer", None, 0, 4, 3, 4, 0.5)
SECOND = BatchResult("hardware", 7, 0, 4, 2, None, 0.25)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "results.jsonl"
    with open_journal(path, HEADER) as journal:
        journal.append(FIRST)
        journal.append(SECOND)
    return path


def test_one_line_for_the_run_and_one_for_each_batch(file: Path) -> None:
    header, *lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert header.items() >= HEADER.items()
    assert [BatchResult(**line) for line in lines] == [FIRST, SECOND]


def test_a_batch_is_in_the_file_before_the_next_one_runs(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with open_journal(path, HEADER) as journal:
        journal.append(FIRST)
        assert len(path.read_text().splitlines()) == 2


def test_resume_finds_what_was_finished_and_appends(file: Path) -> None:
    third = BatchResult("hardware", 8, 0, 4, 1, 2, 0.1)
    with open_journal(file, HEADER, resume=True) as journal:
        assert set(journal.finished.values()) == {FIRST, SECOND}
        journal.append(third)
    with open_journal(file, HEADER, resume=True) as journal:
        assert set(journal.finished.values()) == {FIRST, SECOND, third}


@pytest.mark.parametrize("cut", [1, 5, 40])
def test_resume_drops_a_line_that_was_cut_off(file: Path, cut: int) -> None:
    file.write_bytes(file.read_bytes()[:-cut])
    with open_journal(file, HEADER, resume=True) as journal:
        assert set(journal.finished.values()) == {FIRST}
        journal.append(SECOND)
    with open_journal(file, HEADER, resume=True) as journal:
        assert set(journal.finished.values()) == {FIRST, SECOND}


def test_resume_of_a_file_cut_off_in_its_first_line_starts_anew(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:10])
    with open_journal(file, HEADER, resume=True) as journal:
        assert journal.finished == {}
    assert json.loads(file.read_text()).items() >= HEADER.items()


def test_resume_of_nothing_starts(tmp_path: Path) -> None:
    with open_journal(tmp_path / "new" / "results.jsonl", HEADER, resume=True) as journal:
        assert journal.finished == {}


def test_another_run_is_refused(file: Path) -> None:
    before = file.read_bytes()
    with pytest.raises(UsageError, match="another run: another --batch-size"):
        open_journal(file, {**HEADER, "batch_size": 5}, resume=True)
    assert file.read_bytes() == before


def test_results_are_not_thrown_away_unasked(file: Path) -> None:
    before = file.read_bytes()
    with pytest.raises(UsageError, match="already holds results") as caught:
        open_journal(file, HEADER)
    assert "--resume" in caught.value.hint
    assert file.read_bytes() == before


def test_overwrite_throws_them_away(file: Path) -> None:
    with open_journal(file, HEADER, overwrite=True) as journal:
        assert journal.finished == {}
    assert len(file.read_text().splitlines()) == 1


@pytest.mark.parametrize("line", ["no json", "[1]", '{"variant": "integer"}'])
def test_a_damaged_line_in_the_middle_is_refused_by_its_number(file: Path, line: str) -> None:
    lines = file.read_text().splitlines()
    file.write_text("\n".join([lines[0], line, *lines[1:]]) + "\n")
    with pytest.raises(UsageError, match=r"results\.jsonl:2"):
        open_journal(file, HEADER, resume=True)


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match=r"results\.jsonl"):
        open_journal(tmp_path / "file" / "results.jsonl", HEADER)


@pytest.mark.parametrize("content", [b"my notes, in one line", b"\x00\x01", b'{"format": 1, "model_identity"x'])
def test_a_file_of_one_line_that_is_something_else(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "results.jsonl"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="not a results file of asim-simulate"):
        open_journal(path, HEADER, resume=True)
    assert path.read_bytes() == content


def test_two_runs_do_not_share_a_file(file: Path) -> None:
    for options in ({"resume": True}, {"overwrite": True}):
        with open_journal(file, HEADER, resume=True):
            before = file.read_bytes()
            with pytest.raises(UsageError, match="in use by another run"):
                open_journal(file, HEADER, **options)
            assert file.read_bytes() == before
    with open_journal(file, HEADER, overwrite=True):  # free again
        pass


def test_a_refused_file_is_not_left_locked(file: Path) -> None:
    with pytest.raises(UsageError, match="another run"):
        open_journal(file, {**HEADER, "batch_size": 5}, resume=True)
    with open_journal(file, HEADER, resume=True) as journal:
        assert len(journal.finished) == 2


def test_a_line_is_on_disk_before_the_next_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "results.jsonl"
    synced: list[int] = []
    monkeypatch.setattr("os.fsync", lambda _: synced.append(path.read_bytes().count(b"\n")))
    with open_journal(path, HEADER) as journal:
        journal.append(FIRST)
        journal.append(SECOND)
    assert synced == [1, 2, 3]
