"""Artifacts: what is saved comes back the same, and what was changed is refused."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import asim_fx
from asim_fx.errors import ArtifactError, OutputError, UsageError


@pytest.fixture
def folder(small_net: nn.Module, images: Tensor, tmp_path: Path) -> Path:
    asim_fx.convert(small_net, "generic-255x8b", images, seed=7).save(tmp_path / "chip")
    return tmp_path / "chip"


def test_a_loaded_model_gives_the_same_bits(folder: Path, small_net: nn.Module, images: Tensor) -> None:
    expected = asim_fx.convert(small_net, "generic-255x8b", images, seed=7)
    loaded = asim_fx.load(folder, model=small_net)
    assert torch.equal(loaded(images), expected(images))
    assert loaded.report.totals == expected.report.totals


def test_weights_come_from_the_artifact(folder: Path, small_net: nn.Module, images: Tensor) -> None:
    import copy

    other = copy.deepcopy(small_net)
    with torch.no_grad():
        for weight in (*other.parameters(), *other.buffers()):
            weight.zero_()
    expected = asim_fx.load(folder, model=small_net)(images)
    assert torch.equal(asim_fx.load(folder, model=other)(images), expected)


def test_nothing_in_it_is_pickled(folder: Path) -> None:
    names = {path.name for path in folder.iterdir()}
    assert names == {"manifest.json", "hwspec.yaml", "model.safetensors", "report.json", "report.html"}
    for path in folder.iterdir():
        with pytest.raises((pickle.UnpicklingError, ValueError, EOFError, KeyError, IndexError, AttributeError)):
            pickle.loads(path.read_bytes())


def test_the_spec_is_kept_verbatim(folder: Path) -> None:
    shipped = Path(asim_fx.__file__).parents[1] / "hwspecs" / "generic-255x8b.yaml"
    assert (folder / "hwspec.yaml").read_text() == shipped.read_text()


def test_a_python_model_must_be_given_again(folder: Path) -> None:
    with pytest.raises(ArtifactError, match="must be given again"):
        asim_fx.load(folder)


@pytest.mark.parametrize("name", ["hwspec.yaml", "model.safetensors", "report.json"])
def test_a_changed_file_is_refused(folder: Path, small_net: nn.Module, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[-2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(ArtifactError, match=f"{name} was changed"):
        asim_fx.load(folder, model=small_net)


def test_a_missing_file_is_refused(folder: Path, small_net: nn.Module) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(ArtifactError, match=r"model\.safetensors is missing"):
        asim_fx.load(folder, model=small_net)


def test_another_model_is_refused(folder: Path) -> None:
    other = nn.Sequential(nn.Conv2d(2, 4, 3), nn.Flatten(), nn.Linear(144, 5))
    with pytest.raises(ArtifactError, match="another model"):
        asim_fx.load(folder, model=other)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(144, 5)), r"it has no .*it has besides"),
        (nn.Sequential(nn.Linear(7, 7)), r"0\.weight \(7, 7\)"),
    ],
)
def test_what_differs_in_another_model_is_said(folder: Path, other: nn.Module, words: str) -> None:
    with pytest.raises(ArtifactError, match=f"this is another model than the one that .* was made from.*{words}"):
        asim_fx.load(folder, model=other)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 99}', '{"format": 1}', '{"format": 1, "files": {}}'])
def test_a_broken_manifest_is_refused(folder: Path, small_net: nn.Module, content: str) -> None:
    (folder / "manifest.json").write_text(content)
    with pytest.raises(ArtifactError):
        asim_fx.load(folder, model=small_net)


def test_a_manifest_that_lost_a_field_is_refused(folder: Path, small_net: nn.Module) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    for field in manifest:
        path.write_text(json.dumps({key: value for key, value in manifest.items() if key != field}))
        with pytest.raises(ArtifactError):
            asim_fx.load(folder, model=small_net)


def test_files_outside_the_folder_are_not_read(folder: Path, small_net: nn.Module) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["files"]["../../etc/hostname"] = "0" * 64
    path.write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError, match="hostname is missing"):
        asim_fx.load(folder, model=small_net)


def test_a_folder_of_something_else_is_kept(small_net: nn.Module, images: Tensor, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    converted = asim_fx.convert(small_net, "ideal", images)
    with pytest.raises(OutputError, match="no artifact"):
        converted.save(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_an_earlier_artifact_is_replaced(folder: Path, small_net: nn.Module, images: Tensor) -> None:
    asim_fx.convert(small_net, "ideal", images).save(folder)
    assert asim_fx.load(folder, model=small_net).recipe.spec.name == "ideal"
    assert [path.name for path in folder.parent.iterdir()] == ["chip"]


class Frozen(nn.Module):
    """A batch norm whose statistics are buffers, as detection backbones have it; two buffers share memory."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3)
        both = torch.full((6,), scale)
        self.register_buffer("scale", both[:4])
        self.register_buffer("shift", both[2:])

    def forward(self, x: Tensor) -> Tensor:
        factor = self.scale * self.scale.rsqrt()
        return self.conv(x) * factor[:, None, None] + self.shift[:, None, None]


def test_buffers_come_from_the_artifact(images: Tensor, tmp_path: Path) -> None:
    model, fresh = Frozen(3.0), Frozen(1.0)
    converted = asim_fx.convert(model, "ideal", images)
    converted.save(tmp_path / "out")
    assert torch.equal(asim_fx.load(tmp_path / "out", model=fresh)(images), converted(images))


@pytest.mark.parametrize("edited", [False, True])
def test_a_spec_made_in_python_comes_back(small_net: nn.Module, images: Tensor, tmp_path: Path, edited: bool) -> None:
    spec = asim_fx.load_spec("generic-255x8b")
    if edited:
        spec = spec.model_copy(update={"defaults": spec.defaults.model_copy(update={"weight_bits": 5})})
    else:
        document = {"version": 1, "name": "made", "macros": {"m": {"rows": 63}}}
        spec = asim_fx.HardwareSpec.model_validate(document)
    converted = asim_fx.convert(small_net, spec, images)
    converted.save(tmp_path / "out")
    loaded = asim_fx.load(tmp_path / "out", model=small_net)
    assert loaded.recipe.spec.macros == spec.macros
    converted.reseed(0)
    assert torch.equal(loaded(images), converted(images))


def test_a_manifest_cannot_name_a_module_to_import(
    folder: Path, small_net: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch reads the structure of the inputs, and imports the class of an enum among the keys of a dict."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "named_by_a_manifest.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    manifest = json.loads((folder / "manifest.json").read_text())
    key = {"__enum__": True, "fqn": "named_by_a_manifest:A", "name": "B"}
    leaf = {"type": None, "context": None, "children_spec": []}
    tree = {"type": "builtins.list", "context": json.dumps([key]), "children_spec": [leaf]}
    manifest["inputs"]["structure"] = json.dumps([1, tree])
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UsageError, match="refused"):
        asim_fx.load(folder, model=small_net)
    assert not (tmp_path / "ran").exists()


def test_an_interrupted_swap_keeps_the_earlier_artifact(
    folder: Path, small_net: nn.Module, images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (folder / "manifest.json").read_bytes()
    rename = Path.rename

    def interrupted(path: Path, target: Path) -> Path:
        if target == folder and path.name != "old":
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        asim_fx.convert(small_net, "ideal", images).save(folder)
    assert (folder / "manifest.json").read_bytes() == before
    assert list(folder.parent.iterdir()) == [folder]
