"""A results file; what sweeps and simulations make of it is tested with their journals."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from asim_fx.errors import OutputError, UsageError
from asim_fx.results_file import open_results

HEADER = {"format": 1, "model": "m"}


def write(path: Path, *values: int) -> None:
    with closing(open_results(path, "asim-test", HEADER, resume=True)) as file:
        file.start(HEADER)
        for value in values:
            file.append({"value": value})


def test_any_cut_keeps_the_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    write(path, 1, 2)
    data = path.read_bytes()
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with closing(open_results(path, "asim-test", HEADER, resume=True)) as file:
            assert path.read_bytes() == data[:length]  # nothing is dropped before it is known whose file it is
            assert len(file.lines) == data[:length].count(b"\n")
            file.start(HEADER)
        kept = data[: data.rfind(b"\n", 0, length) + 1]
        assert path.read_bytes() == (kept or data[: data.find(b"\n") + 1])  # the header at least


def test_what_is_there_is_not_thrown_away_unasked(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    write(path, 1)
    before = path.read_bytes()
    with pytest.raises(UsageError, match="already holds results"):
        open_results(path, "asim-test", HEADER)
    with closing(open_results(path, "asim-test", HEADER, overwrite=True)) as file:
        assert path.read_bytes() == before
        file.start(HEADER)
    assert path.read_bytes().count(b"\n") == 1


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with (
        closing(open_results(path, "asim-test", HEADER)),
        pytest.raises(UsageError, match="in use by another run of asim-test"),
    ):
        open_results(path, "asim-test", HEADER, resume=True)


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        open_results(tmp_path, "asim-test", HEADER)
