from __future__ import annotations

from pathlib import Path

import pytest

from asim_fx.cli.outputs import refuse_lost
from asim_fx.errors import UsageError


def test_a_new_file_is_welcome(tmp_path: Path) -> None:
    refuse_lost(tmp_path / "new.yaml", [tmp_path / "old.yaml", Path("generic-255x8b")], overwrite=False)


def test_another_file_needs_the_users_word(tmp_path: Path) -> None:
    (tmp_path / "old.yaml").touch()
    with pytest.raises(UsageError, match="exists"):
        refuse_lost(tmp_path / "old.yaml", [], overwrite=False)
    refuse_lost(tmp_path / "old.yaml", [], overwrite=True)


def test_what_is_read_is_never_written(tmp_path: Path) -> None:
    file, link = tmp_path / "mine.yaml", tmp_path / "link.yaml"
    file.touch()
    link.symlink_to(file)
    for output in (file, link, tmp_path / "." / "mine.yaml"):
        with pytest.raises(UsageError, match="it would be lost"):
            refuse_lost(output, [Path("generic-255x8b"), file], overwrite=True)
