"""asim-convert and asim-simulate of a ``.pt2`` file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import asim_fx
from asim_fx.errors import ArtifactError
from tests.cli.command import run
from tests.cli.test_bad_input import is_refused
from tests.models.pt2.archives import PROGRAM, SAMPLES, Members, edit_json, rewrite, write_tiny


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.pt2"
    write_tiny(path)
    return path


@pytest.fixture
def images(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    for number in range(4):
        folder = tmp_path / "images" / "abc"[number % 3]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = generator.integers(256, size=(6, 6, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return tmp_path / "images"


def test_a_file_is_planned_under_its_name(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = run(capsys, "asim-convert", tiny, "generic-255x8b", "--dry-run", "--report", "json")
    assert result.code == 0, result.err
    report = json.loads(result.out)
    assert [site["name"] for site in report["sites"]] == ["conv", "head"]
    assert report["totals"]["macs"] == 4 * 16 * 27 + 64 * 3


def test_an_artifact_holds_the_program_without_pickles(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "chip"
    assert run(capsys, "asim-convert", tiny, "generic-255x8b", "-o", folder).code == 0
    tiny.unlink()
    assert {path.name for path in folder.iterdir()} >= {"program.pt2", "manifest.json", "model.safetensors"}
    assert not any(b"data.pkl" in path.read_bytes() for path in folder.iterdir())
    assert str(tmp_path) not in (folder / "manifest.json").read_text()
    loaded = asim_fx.load(folder)
    assert loaded.report.model == "tiny.pt2"
    assert loaded(torch.randn(3, 3, 6, 6)).shape == (3, 3)
    loaded.save(tmp_path / "again")
    again = asim_fx.load(tmp_path / "again")
    images = torch.randn(2, 3, 6, 6)
    loaded.reseed(0)
    assert torch.equal(again(images), loaded(images))
    (folder / "program.pt2").write_bytes((folder / "program.pt2").read_bytes() + b" ")
    with pytest.raises(ArtifactError, match="was changed"):
        asim_fx.load(folder)


@pytest.mark.parametrize(("dynamic", "batch", "code"), [(True, 3, 0), (False, 1, 0), (False, 2, 2)])
def test_a_file_is_simulated(
    dynamic: bool, batch: int, code: int, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, folder = tmp_path / "model.pt2", tmp_path / "chip"
    write_tiny(file, dynamic=dynamic)
    assert run(capsys, "asim-convert", file, "generic-255x8b", "-o", folder).code == 0
    result = run(capsys, "asim-simulate", folder, "--data", images, "-b", batch, "-j", 0, "--json")
    assert result.code == code, result.err
    if code:
        is_refused(result, 2, "must have the shape (1, 3, 6, 6)", "exported")
    else:
        assert {variant["variant"] for variant in json.loads(result.out)["variants"]} == {"integer", "hardware"}


def pickled(members: Members) -> None:
    members[SAMPLES] = b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R."


def foreign(program: dict) -> None:
    program["graph_module"]["graph"]["nodes"][0]["target"] = "torch.ops.mylib.multiply.default"


def test_bad_files_are_one_message_each(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.pt2").write_text("no archive")
    hostile = rewrite(tiny, tmp_path / "hostile.pt2", pickled)
    custom = rewrite(tiny, tmp_path / "custom.pt2", edit_json(PROGRAM, foreign))
    for file, code, words in (
        (tmp_path / "missing.pt2", 2, "no such file"),
        (tmp_path / "text.pt2", 2, "no .pt2 file"),
        (hostile, 2, "refused"),
        (custom, 3, "mylib::multiply"),
    ):
        is_refused(run(capsys, "asim-convert", file, "generic-255x8b", "--dry-run"), code, words)
    result = run(capsys, "asim-convert", tiny, "generic-255x8b", "--input-size", 3, 9, 9)
    is_refused(result, 2, "exported for images of 3x6x6")
