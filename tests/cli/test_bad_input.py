"""Bad input: one clear message, the documented exit code, and never a traceback."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.command import Finished, run

MODEL = "asim:digits_resnet"
SPEC = "version: 1\nname: chip\nmacros:\n  m: {rows: 255, adc: {bits: 8}}\n"


def is_refused(result: Finished, code: int, *words: str) -> None:
    assert result.code == code, result.err
    assert "Traceback" not in result.err + result.out
    assert "internal error" not in result.err
    assert result.out == ""
    for word in words:
        assert word in result.err


@pytest.fixture
def spec(tmp_path: Path):
    def write(text: str) -> Path:
        file = tmp_path / "chip.yaml"
        file.write_text(text)
        return file

    return write


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("resnet5O", ("resnet50",)),
        ("torchvision:resnet5O", ("resnet50",)),
        ("asim:digits_resnt", ("digits_resnet",)),
        ("no.such.module:factory", ("no.such.module",)),
        ("json:no_such_factory", ("no_such_factory",)),
        ("json:dumps", ("json:dumps",)),
    ],
)
def test_unknown_model(capsys, model: str, words: tuple[str, ...]) -> None:
    is_refused(run(capsys, "asim-convert", model, "ideal", "--dry-run"), 2, *words)


def test_checkpoint_that_is_missing(capsys, tmp_path: Path) -> None:
    result = run(capsys, "asim-convert", MODEL, "ideal", "--checkpoint", tmp_path / "no.safetensors")
    is_refused(result, 2, "no.safetensors")


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pth"])
def test_checkpoint_that_is_garbage(capsys, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"not a checkpoint at all")
    result = run(capsys, "asim-convert", MODEL, "ideal", "--checkpoint", tmp_path / name)
    is_refused(result, 2, name)


class Malicious:
    def __reduce__(self):
        return (Path("/tmp/asim_fx_was_here").touch, ())


def test_checkpoint_with_code_in_it_is_not_run(capsys, tmp_path: Path) -> None:
    target = Path("/tmp/asim_fx_was_here")
    target.unlink(missing_ok=True)
    file = tmp_path / "evil.pth"
    file.write_bytes(pickle.dumps({"state_dict": Malicious()}))
    is_refused(run(capsys, "asim-convert", MODEL, "ideal", "--checkpoint", file), 2, "evil.pth")
    assert not target.exists()


def test_checkpoint_of_another_model(capsys, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    save_file({"fc.weight": torch.zeros(3, 3)}, tmp_path / "other.safetensors")
    result = run(capsys, "asim-convert", MODEL, "ideal", "--checkpoint", tmp_path / "other.safetensors")
    is_refused(result, 2, "other.safetensors")


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("version: 1\nname: [unclosed\n", 2, ("chip.yaml:",)),
        (SPEC + "defalts: {}\n", 2, ("chip.yaml:5", "defalts", "defaults")),
        (SPEC.replace("bits: 8", "bitz: 8"), 2, ("chip.yaml:4", "bitz", "bits")),
        (SPEC.replace("bits: 8", "bits: eight"), 2, ("chip.yaml:4", "macros.m.adc.bits")),
        (SPEC.replace("bits: 8", "bits: 0"), 2, ("chip.yaml:4", "macros.m.adc.bits")),
        (SPEC.replace("rows: 255", "rows: 0"), 2, ("chip.yaml:4", "macros.m.rows")),
        (SPEC.replace("rows: 255", "rows: -3"), 2, ("chip.yaml:4", "macros.m.rows")),
        (SPEC + "defaults: {input_bits: 4, input_encoding: 5}\n", 2, ("chip.yaml:5", "input_encoding", "input_bits")),
        (SPEC + "defaults: {hybrid: {levels: 4}, vote: {levels: 3, samples: 5}}\n", 2, ("chip.yaml:5", "vote", "hybrid")),
        (SPEC + "rules:\n  - {match: {name: layer9}, target: float}\n", 4, ("chip.yaml:6", "rules[0]", "layer9", "nearest")),
        (SPEC + "rules:\n  - {match: {name: 're:('}, target: float}\n", 2, ("chip.yaml:6",)),
        (SPEC + "name: again\n", 2, ("chip.yaml:5", "name")),
        ("", 2, ("chip.yaml",)),
        ("- a list\n", 2, ("chip.yaml",)),
    ],
)  # fmt: skip
def test_bad_spec(capsys, spec, text: str, code: int, words: tuple[str, ...]) -> None:
    is_refused(run(capsys, "asim-convert", MODEL, spec(text), "--dry-run"), code, *words)


def test_all_errors_of_a_spec_at_once(capsys, spec) -> None:
    text = "version: 2\nname: chip\nmacros:\n  m: {rows: 0, adc: {bitz: 8}}\ndefaults: {target: analogue}\n"
    result = run(capsys, "asim-spec", "check", spec(text))
    is_refused(result, 2, "chip.yaml:1", "chip.yaml:4", "macros.m.rows", "bitz", "chip.yaml:5", "analogue")


def test_unknown_spec(capsys) -> None:
    is_refused(run(capsys, "asim-convert", MODEL, "generic-255x8", "--dry-run"), 2, "generic-255x8b")


def test_override_of_an_unknown_field(capsys) -> None:
    result = run(capsys, "asim-convert", MODEL, "ideal", "--dry-run", "--set", "defaults.weigth_bits=4")
    is_refused(result, 2, "--set", "weight_bits")


def test_wrong_input_size(capsys) -> None:
    result = run(capsys, "asim-convert", "torchvision:vit_b_32", "ideal", "--dry-run", "--input-size", 3, 100, 100)
    assert result.code in (2, 3)
    is_refused(result, result.code, "100")


def test_unwritable_output(capsys, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    is_refused(run(capsys, "asim-convert", MODEL, "ideal", "-o", tmp_path / "file"), 2, "file")
    is_refused(run(capsys, "asim-convert", MODEL, "ideal", "-o", tmp_path / "file" / "below"), 2, "file")
    assert (tmp_path / "file").read_text() == "in the way"


def test_dry_run_and_output_exclude_each_other(capsys, tmp_path: Path) -> None:
    result = run(capsys, "asim-convert", MODEL, "ideal", "--dry-run", "-o", tmp_path / "out")
    is_refused(result, 2, "--dry-run")


def test_unknown_device(capsys) -> None:
    is_refused(run(capsys, "asim-convert", MODEL, "ideal", "--dry-run", "--device", "tpu"), 2, "tpu")


def test_usage_error(capsys) -> None:
    result = run(capsys, "asim-convert", MODEL)
    assert result.code == 2
    assert "SPEC" in result.err


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for label in range(10):
        folder = tmp_path / "pictures" / str(label)
        folder.mkdir(parents=True)
        Image.fromarray(np.full((8, 8), 20 * label, np.uint8)).save(folder / "one.png")
    return tmp_path / "pictures"


def test_data_folder_that_is_missing(capsys, artifact: Path, tmp_path: Path) -> None:
    is_refused(run(capsys, "asim-simulate", artifact, "--data", tmp_path / "none"), 2, "none")


def test_data_folder_that_is_empty(capsys, artifact: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    is_refused(run(capsys, "asim-simulate", artifact, "--data", tmp_path / "empty"), 2, "empty")


@pytest.mark.parametrize("workers", [0, 1])
def test_image_that_cannot_be_decoded(capsys, artifact: Path, pictures: Path, workers: int) -> None:
    (pictures / "3" / "broken.png").write_bytes(b"\x89PNG not really")
    is_refused(run(capsys, "asim-simulate", artifact, "--data", pictures, "-j", workers), 2, "broken.png")


def test_artifact_that_is_missing(capsys, tmp_path: Path) -> None:
    is_refused(run(capsys, "asim-simulate", tmp_path / "none", "--data", "digits"), 2, "none")


def test_artifact_that_was_changed(capsys, artifact: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(artifact, copy)
    (copy / "hwspec.yaml").write_text((copy / "hwspec.yaml").read_text().replace("255", "254"))
    is_refused(run(capsys, "asim-simulate", copy, "--data", "digits"), 2, "hwspec.yaml was changed")


def test_results_file_that_cannot_be_written(capsys, artifact: Path, tmp_path: Path) -> None:
    where = tmp_path / "no" / "such" / "folder" / "results.jsonl"
    result = run(capsys, "asim-simulate", artifact, "--data", "digits", "--results-file", where, "--num-samples", 4)
    assert result.code in (0, 2)
    if result.code == 2:
        is_refused(result, 2, "results.jsonl")


@pytest.mark.parametrize("seeds", ["a", "5:0", "-1", ""])
def test_seeds_that_make_no_sense(capsys, artifact: Path, seeds: str) -> None:
    is_refused(run(capsys, "asim-simulate", artifact, "--data", "digits", f"--seeds={seeds}"), 2, "seeds")
