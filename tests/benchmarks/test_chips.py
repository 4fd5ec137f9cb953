from __future__ import annotations

from pathlib import Path

from benchmarks.chips import compared, page

PAGE = Path(__file__).parents[2] / "docs" / "chips.md"


def test_the_page_is_up_to_date():
    assert PAGE.read_text() == page(), "run python -m benchmarks.chips > docs/chips.md"


def test_every_chip_outside_its_band_is_named():
    outside = [chip for chip in compared() if not chip.inside]
    assert outside
    verdict = next(line for line in page().splitlines() if "lie outside their band" in line)
    assert verdict.startswith(f"{len(outside)} of {len(compared())} ")
    assert all(chip.name in verdict for chip in outside)


def test_measured_energy_is_published_efficiency_in_other_units():
    assert all(abs(chip.measured / chip.published - 1) < 0.05 for chip in compared())
