from __future__ import annotations

from pathlib import Path

from asim_fx.spec.reference import reference

PAGE = Path(__file__).parents[2] / "docs" / "spec-reference.md"


def test_the_page_is_up_to_date():
    assert PAGE.read_text() == reference(), "run python -m asim_fx.spec.reference > docs/spec-reference.md"


def test_every_row_of_a_table_has_its_cells():
    rows = [line.replace("\\|", "") for line in reference().splitlines() if line.startswith("| `")]
    assert len(rows) > 40
    assert {row.count("|") for row in rows} == {3, 5}
