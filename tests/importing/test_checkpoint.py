"""Weights of the published networks: the same float outputs under other names, and what is said about the rest."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models import VisionTransformer

import asim_fx
from asim_fx.errors import CheckpointError
from asim_fx.importing.checkpoint import classes_of, import_weights
from asim_fx.models import build_model
from asim_fx.models.checkpoints import load_checkpoint
from asim_fx.models.cifar import CifarResNet
from tests.cli.command import run
from tests.importing.networks import PublishedResNet, PublishedVgg, PublishedVit
from tests.published import published

Capture = pytest.CaptureFixture[str]


def save(model: nn.Module, path: Path, prefix: str = "") -> Path:
    """Write a checkpoint as the published training does, an accuracy of numpy's with it."""
    state = {prefix + name: value for name, value in model.state_dict().items()}
    torch.save({"model_state_dict": state, "optimizer_state_dict": {}, "epoch": 3, "best_acc": np.float64(0.9)}, path)
    return path


def same(model: nn.Module, published_model: nn.Module, x: Tensor) -> bool:
    with torch.no_grad():
        own, theirs = model.eval()(x), published_model.eval()(x)
    return bool((own - theirs).abs().max() <= 2e-5 * theirs.abs().max())


@pytest.fixture
def randomly() -> None:
    torch.manual_seed(0)


@pytest.mark.usefixtures("randomly")
@pytest.mark.parametrize(
    ("large", "name"),
    [
        (False, "asim:resnet18_cifar"),
        (True, "asim:resnet18_imagenet"),
        (True, "torchvision:resnet18"),
        (True, "resnet18"),
    ],
)
def test_a_resnet_without_bounds(large: bool, name: str, tmp_path: Path, capsys: Capture) -> None:
    theirs, out = PublishedResNet(None, large=large), tmp_path / "weights.safetensors"
    file = save(theirs, tmp_path / "theirs.pkl", prefix="module.")
    done = run(capsys, "asim-import", "checkpoint", file, "--model", name, "-o", out)
    assert (done.code, done.err) == (0, "")
    assert f"{'3x3' if large else '7x7'} first convolution" in done.out
    model = build_model(name, checkpoint=out, num_classes=10).model
    assert same(model, theirs, torch.randn(2, 3, 64 if large else 32, 64 if large else 32))


@pytest.mark.usefixtures("randomly")
def test_bounds_go_where_the_model_has_a_place_for_them(tmp_path: Path, capsys: Capture) -> None:
    theirs, x = PublishedResNet(0.25, large=False), torch.randn(2, 3, 32, 32)
    file, out = save(theirs, tmp_path / "theirs.pkl"), tmp_path / "weights.safetensors"
    command = ("asim-import", "checkpoint", file, "--model", "asim:resnet18_cifar", "-o", out, "--overwrite")
    assert "bound:" not in run(capsys, *command, "--model-kwargs", "pact=True").out
    model = build_model("asim:resnet18_cifar", model_kwargs={"pact": True}, checkpoint=out).model
    assert same(model, theirs, x)

    said = run(capsys, *command).out
    assert "bound: layer4.1.relu 0.25" in said
    assert "9 bounds of activations (PACT) have no place" in said
    bounded = build_model("asim:resnet18_cifar", checkpoint=out)
    assert same(bounded.model, theirs, x)
    assert len(bounded.bounds) == len(bounded.source.bounded) == 9
    assert not same(build_model("asim:resnet18_cifar", checkpoint=out, bounded=False).model, theirs, x)
    with safe_open(out, "pt") as stored:
        assert json.loads(stored.metadata()["pact_alphas"])["relu"] == 0.25
    listed = json.loads(run(capsys, *command, "--json").out)
    assert len(listed["bounds"]) == 9
    assert listed["tensors"] == len(model.state_dict()) - 9


@pytest.mark.usefixtures("randomly")
def test_a_thin_resnet_as_data_parallel_training_keeps_it(tmp_path: Path, capsys: Capture) -> None:
    theirs, out = CifarResNet(20, 7), tmp_path / "weights.safetensors"
    file = tmp_path / "theirs.th"
    state = {f"module.{name}": value for name, value in theirs.state_dict().items()}
    torch.save({"state_dict": state, "best_prec1": 91.7}, file)
    command = ("asim-import", "checkpoint", file, "-o", out, "--overwrite", "--model")
    assert run(capsys, *command, "asim:resnet20_cifar").code == 0
    model = build_model("asim:resnet20_cifar", checkpoint=out, num_classes=7).model
    assert same(model, theirs, torch.randn(2, 3, 32, 32))
    deeper = run(capsys, *command, "asim:resnet32_cifar")
    assert deeper.code == 2
    assert "layer1.3.conv1.weight of the model has no weight" in deeper.err


@pytest.mark.usefixtures("randomly")
@pytest.mark.parametrize("name", ["torchvision:resnet18", "resnet18"])
def test_bounds_reach_the_rectifiers_of_either_library(name: str, tmp_path: Path, capsys: Capture) -> None:
    theirs, out = PublishedResNet(0.25, large=True), tmp_path / "weights.safetensors"
    file = save(theirs, tmp_path / "theirs.pkl")
    run(capsys, "asim-import", "checkpoint", file, "--model", name, "-o", out)
    model, x = build_model(name, checkpoint=out, num_classes=10).model, torch.randn(2, 3, 64, 64)
    assert same(model, theirs, x)
    assert not same(build_model(name, checkpoint=out, num_classes=10, bounded=False).model, theirs, x)


@pytest.mark.usefixtures("randomly")
def test_a_converted_model_keeps_the_bounds(tmp_path: Path, capsys: Capture) -> None:
    theirs, x, out = PublishedResNet(0.25, large=False), torch.randn(2, 3, 32, 32), tmp_path / "weights.safetensors"
    file = save(theirs, tmp_path / "theirs.pkl")
    run(capsys, "asim-import", "checkpoint", file, "--model", "asim:resnet18_cifar", "-o", out)
    folder = tmp_path / "out"
    done = run(capsys, "asim-convert", "asim:resnet18_cifar", "ideal", "--checkpoint", out, "-o", folder)
    assert done.code == 0, done.err
    assert "9 rectifiers have the bounds (PACT)" in done.err
    loaded = asim_fx.load(folder)
    loaded.set_fidelity("float")
    assert same(loaded, theirs, x)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"nowhere.relu": 1.0}', "bounds the rectifier nowhere.relu"),
        ('{"relu": -1}', "no positive number"),
        ('{"relu": NaN}', "no positive number"),
        ("[1]", "holds no bounds"),
        ("{", "holds no bounds"),
    ],
)
def test_bounds_that_are_none(tmp_path: Path, text: str, words: str) -> None:
    model, file = build_model("asim:resnet18_cifar").model, tmp_path / "weights.safetensors"
    save_file(model.state_dict(), file, {"pact_alphas": text})
    with pytest.raises(CheckpointError, match=words):
        build_model("asim:resnet18_cifar", checkpoint=file)


def vits() -> dict[str, nn.Module]:
    from timm.models.vision_transformer import VisionTransformer as TimmVit

    shape: dict[str, Any] = {"img_size": 32, "patch_size": 16, "embed_dim": 48, "depth": 2, "num_heads": 3}
    return {
        "torchvision": VisionTransformer(32, 16, 2, 3, 48, 80, num_classes=7),
        "timm": TimmVit(**shape, mlp_ratio=80 / 48, num_classes=7),
    }


@pytest.mark.usefixtures("randomly")
@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_a_vit_attends_as_the_published_one(library: str) -> None:
    theirs, model = PublishedVit(), vits()[library]
    imported = import_weights(theirs.state_dict(), model.state_dict(), heads=3)
    model.load_state_dict(imported.tensors)
    assert same(model, theirs, torch.randn(3, 3, 32, 32))
    assert classes_of(theirs.state_dict()) == 7
    (note,) = imported.notes
    assert "Q, K and V are scaled by 0.7598" in note


@pytest.mark.usefixtures("randomly")
def test_a_vit_keeps_its_codes() -> None:
    """Each tensor is scaled as a whole, so quantised with a scale of its own it has the codes that it had."""
    theirs, model = PublishedVit().state_dict(), vits()["timm"]
    with torch.no_grad():
        theirs["encoder.layers.0.self_attention.qkv.weight"][:96] *= 3  # Q and K hold the largest weights
    imported = import_weights(theirs, model.state_dict(), heads=3).tensors

    def codes(weight: Tensor) -> Tensor:
        return (weight / weight.abs().max() * 127).double()

    for name in ("qkv", "proj"):
        before = theirs[f"encoder.layers.0.self_attention.{name}.weight"]
        after = imported[f"blocks.0.attn.{name}.weight"]
        assert not torch.equal(before, after)
        torch.testing.assert_close(codes(after), codes(before), rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("randomly")
@pytest.mark.parametrize("name", ["torchvision:vgg11_bn", "vgg11_bn"])
def test_a_vgg_of_either_library(name: str) -> None:
    theirs = PublishedVgg(1e9, classes=5)
    model = build_model(name, num_classes=5).model
    imported = import_weights(theirs.state_dict(), model.state_dict())
    model.load_state_dict(imported.tensors)
    assert len(imported.bounds) == 9
    assert set(imported.bounds.values()) == {1e9}
    assert same(model, theirs, torch.randn(1, 3, 224, 224))


@pytest.mark.usefixtures("randomly")
def test_tensors_that_share_memory_are_written(tmp_path: Path, capsys: Capture) -> None:
    """The published VGG has one rectifier for all layers, so that all its bounds are one tensor; weights may be tied."""
    theirs, out = PublishedResNet(0.25, large=False), tmp_path / "weights.safetensors"
    shared = theirs.relu
    for number in range(1, 5):
        for block in getattr(theirs, f"layer{number}"):
            block.relu = shared
    theirs.layer1[0].bn2.weight = theirs.layer1[0].bn1.weight
    file = save(theirs, tmp_path / "theirs.pkl")
    command = ("asim-import", "checkpoint", file, "--model", "asim:resnet18_cifar", "--model-kwargs", "pact=True")
    done = run(capsys, *command, "-o", out)
    assert (done.code, done.err) == (0, "")
    model = build_model("asim:resnet18_cifar", model_kwargs={"pact": True}, checkpoint=out).model
    assert same(model, theirs, torch.randn(2, 3, 32, 32))


def test_weights_that_do_not_fit_are_named_with_the_nearest() -> None:
    expected = build_model("asim:resnet18_cifar", device="meta").model.state_dict()
    state = PublishedResNet(None, large=False).state_dict()
    state["layer1.0.convx.weight"] = state.pop("layer1.0.conv1.weight")
    with pytest.raises(CheckpointError) as error:
        import_weights(state, expected)
    assert "layer1.0.convx.weight has no place in the model (nearest: layer1.0.conv1.weight)" in str(error.value)
    assert "layer1.0.conv1.weight of the model has no weight (nearest: layer1.0.convx.weight)" in str(error.value)
    with pytest.raises(CheckpointError, match="10x512 where the model has 3x512"):
        import_weights(
            PublishedResNet(None, large=False).state_dict(),
            build_model("asim:resnet18_cifar", device="meta", num_classes=3).model.state_dict(),
        )
    with pytest.raises(CheckpointError, match="these weights are a ViT's"):
        import_weights(PublishedVit().state_dict(), expected)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("layer1.0.conv1.weight", torch.full((64, 64, 3, 3), float("nan")), "holds NaN or infinity"),
        ("relu.alpha", torch.tensor(float("nan")), "holds NaN or infinity"),
        ("relu.alpha", torch.tensor(-1.0), "relu.alpha is -1, and a bound of activations is one positive number"),
        ("relu.alpha", torch.ones(3), "relu.alpha is 3, and a bound"),
        ("fc.bias", torch.ones(10, dtype=torch.int64), "fc.bias holds int64"),
        ("fc.weight", torch.ones(10, 512).to_sparse(), "sparse tensors: fc.weight"),
        (1, torch.ones(2), "keys that are no names: 1"),
    ],
)
@pytest.mark.parametrize("pact", [True, False])
def test_values_that_no_network_has(
    name: Any, value: Tensor, words: str, pact: bool, tmp_path: Path, capsys: Capture
) -> None:
    file, out = tmp_path / "theirs.pkl", tmp_path / "weights.safetensors"
    torch.save({"model_state_dict": {**PublishedResNet(0.25, large=False).state_dict(), name: value}}, file)
    command = ("asim-import", "checkpoint", file, "--model", "asim:resnet18_cifar", "-o", out)
    done = run(capsys, *command, "--model-kwargs", f"pact={pact}")
    assert done.code == 2
    assert words in done.err
    assert not out.exists()


def test_what_the_next_command_needs_is_said(tmp_path: Path, capsys: Capture) -> None:
    file, out = save(PublishedResNet(None, large=True), tmp_path / "theirs.pkl"), tmp_path / "weights.safetensors"
    command = ("asim-import", "checkpoint", file, "--overwrite", "-o", out, "--model")
    large = run(capsys, *command, "torchvision:resnet18").out
    assert "--no-fold-batch-norm" in large
    assert "the 7x7 one, which this model takes, was then never trained" in large
    small = run(capsys, *command, "asim:resnet18_cifar").out
    assert "never trained" not in small
    refused = run(capsys, *command, "asim:resnet18_cifar", "--model-kwargs", "pact=maybe")
    assert refused.code == 2
    assert "pact is 'maybe', and must be True or False" in refused.err


class Harmful:
    def __reduce__(self) -> tuple[Any, ...]:
        return (open, ("was_run", "w"))


def test_bad_files(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "bad.pkl"
    command = ("asim-import", "checkpoint", file, "--model", "asim:resnet18_cifar", "-o", tmp_path / "out.safetensors")
    assert run(capsys, *command).code == 2
    file.write_text("no checkpoint")
    assert "damaged or not a checkpoint" in run(capsys, *command).err
    torch.save({"model_state_dict": {"fc.weight": torch.ones(10, 3)}, "best_acc": Harmful()}, file)
    refused = run(capsys, *command)
    assert refused.code == 2
    assert "refused" in refused.err
    torch.save({"model_state_dict": {"fc.weight": torch.ones(10, 3)}}, file)
    assert "do not fit" in run(capsys, *command).err
    assert not (tmp_path / "was_run").exists()
    assert not (tmp_path / "out.safetensors").exists()


@pytest.mark.parametrize(
    ("module", "factory", "name", "side"),
    [
        ("model.resnet_asim", "resnet18_asim", "asim:resnet18_cifar", 32),
        ("model.resnet_asim", "resnet50_asim", "asim:resnet50_cifar", 32),
        ("model.vgg_asim", "vgg11_bn_asim", "asim:vgg11_bn_cifar", 32),
    ],
)
def test_the_published_classes(module: str, factory: str, name: str, side: int, tmp_path: Path) -> None:
    """Their layers compute in float where each is replaced by torch's of the same weights."""
    published("main.config").cfg.device = "cpu"
    torch.manual_seed(0)
    theirs = getattr(published(module), factory)()
    for layer in theirs.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            kind = nn.Conv2d if isinstance(layer, nn.Conv2d) else nn.Linear
            layer.forward = kind.forward.__get__(layer)
        if hasattr(layer, "alpha"):
            layer.alpha.data.fill_(0.8)
    model = build_model(name, model_kwargs={"pact": True}, num_classes=10).model
    imported = import_weights(theirs.state_dict(), model.state_dict())
    model.load_state_dict(imported.tensors)
    assert not imported.bounds
    assert same(model, theirs, torch.randn(2, 3, side, side))


def test_the_published_vit() -> None:
    published("main.config").cfg.device = "cpu"
    torch.manual_seed(0)
    theirs = published("model.vision_transformer_asim").VisionTransformer(32, 16, 2, 3, 48, 80, 0.0, 0.0, 7)
    for layer in theirs.modules():
        if isinstance(layer, nn.Linear):
            layer.forward = nn.Linear.forward.__get__(layer)
        if hasattr(layer, "_qk_train"):
            layer._qk_train = layer._av_train = torch.matmul
    model = VisionTransformer(32, 16, 2, 3, 48, 80, num_classes=7, norm_layer=partial(nn.LayerNorm, eps=1e-5))
    model.load_state_dict(import_weights(theirs.state_dict(), model.state_dict(), heads=3).tensors)
    assert same(model, theirs, torch.randn(3, 3, 32, 32))


def test_numpy_numbers_beside_the_weights_are_read(tmp_path: Path) -> None:
    model = nn.Linear(2, 3)
    load_checkpoint(nn.Linear(2, 3), save(model, tmp_path / "x.pkl"))


def test_nothing_is_written_over(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "weights.pkl"
    file.write_bytes(b"weights")
    other = tmp_path / "other.safetensors"
    other.write_bytes(b"other weights")
    command = ("asim-import", "checkpoint", file, "--model", "asim:resnet18_cifar", "-o")
    refused = run(capsys, *command, file, "--overwrite")
    assert refused.code == 2
    assert "is a file that the command reads" in refused.err
    refused = run(capsys, *command, other)
    assert refused.code == 2
    assert "--overwrite replaces it" in refused.err
    assert (file.read_bytes(), other.read_bytes()) == (b"weights", b"other weights")
