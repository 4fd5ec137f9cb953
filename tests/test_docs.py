"""The documentation against the code: links lead somewhere, specs are valid, programs that are named exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from asim_fx.spec import load_spec

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_programs_and_files_that_are_named_exist(page: Path) -> None:
    text = page.read_text()
    modules = set(re.findall(r"python -m ((?:benchmarks|asim_fx)[\w.]+)", text))
    assert [name for name in modules if not (ROOT / f"{name.replace('.', '/')}.py").is_file()] == []
    files = set(re.findall(r"`((?:asim_fx|passes|hwspecs|tests|benchmarks|docs)/[\w./-]+)`", text))
    made_up = {"tests/passes/test_merge_linears.py"}  # of the example in adding-a-pass.md
    assert [name for name in files - made_up if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", ["README.md", "docs/tutorial.md"])
def test_the_specs_that_are_shown_are_valid(page: str, tmp_path: Path) -> None:
    blocks = re.findall(r"```yaml\n(version:.*?)```", (ROOT / page).read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        path = tmp_path / "chip.yaml"
        path.write_text(block)
        assert load_spec(path).rules


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = re.findall(r"\((\d{4}-[\w-]+\.md)\)", (folder / "README.md").read_text())
    assert listed == sorted(path.name for path in folder.glob("0*.md"))
