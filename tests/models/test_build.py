from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from asim_fx.errors import AsimError, ModelError, UsageError
from asim_fx.models import (
    ModelSource,
    build_model,
    find_aliases,
    library,
    parse_model_kwargs,
    parse_name,
    rebuild_model,
)
from asim_fx.models.devices import resolve_device


def shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in model.state_dict().items()}


@pytest.mark.parametrize(
    ("name", "options", "kind", "called", "first_conv", "classifier"),
    [
        ("test_resnet", {}, "timm", "test_resnet", "conv1.0", "fc"),
        ("timm:test_vit", {"input_size": (1, 64, 64)}, "timm", "test_vit", "patch_embed.proj", "head"),
        ("test_resnet", {"num_classes": 7, "input_size": (4, 48, 40)}, "timm", "test_resnet", "conv1.0", "fc"),
        ("torchvision:squeezenet1_1", {}, "torchvision", "torchvision:squeezenet1_1", "features.0", None),
        ("torchvision:resnet18", {"num_classes": 5}, "torchvision", "torchvision:resnet18", "conv1", "fc"),
        ("asim:digits_resnet", {}, "asim", "asim:digits_resnet", "conv1", "fc"),
        ("asim:digits_vit", {}, "asim", "asim:digits_vit", "patch_embed.proj", "head"),
    ],
)
def test_a_named_model_and_the_same_again_from_its_source(
    name: str, options: dict, kind: str, called: str, first_conv: str, classifier: str | None
) -> None:
    built = build_model(name, **options)
    source = built.source
    assert (source.kind, source.name) == (kind, called)
    assert source.aliases["@first_conv"] == (first_conv,)
    assert source.aliases.get("@classifier") == (None if classifier is None else (classifier,))
    assert source.input_size is not None
    with torch.no_grad():
        scores = built.model(torch.zeros(2, *source.input_size))
    assert scores.shape[1] == (options.get("num_classes") or (10 if kind == "asim" else 1000))
    assert not built.model.training
    assert source.data_config["input_size"] == list(source.input_size)
    assert len(source.data_config["mean"]) == source.input_size[0]

    stored = ModelSource.from_json(json.loads(json.dumps(source.to_json())))
    again = rebuild_model(stored)
    assert shapes(again) == shapes(built.model)
    assert not again.training


def test_a_vit_takes_images_of_its_own_size_where_its_weights_were_trained_on_others() -> None:
    assert build_model("torchvision:vit_h_14", device="meta").input_shapes == ((3, 224, 224),)
    smaller = build_model("torchvision:vit_b_32", model_kwargs={"image_size": 96})
    assert smaller.input_shapes == ((3, 96, 96),)
    assert smaller.source.data_config["input_size"] == [3, 96, 96]


def test_torchvision_s_own_word_on_how_images_are_prepared() -> None:
    config = build_model("torchvision:swin_t").source.data_config
    assert config["crop_pct"] == pytest.approx(224 / 232)
    assert config["interpolation"] == "bicubic"


def test_random_weights_come_from_the_seed_and_leave_the_global_generator_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one, same, other = (build_model("test_resnet", seed=seed).model.conv1[0].weight for seed in (1, 1, 2))
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("resnet5O", "resnet50"),
        ("vit_b_32", "torchvision:vit_b_32"),
        ("torchvision:resnet5O", "torchvision:resnet50"),
        ("torchvision:vit_tiny_patch16_224", "vit_tiny_patch16_224"),
        ("digits_resnet", "asim:digits_resnet"),
        ("asim:digits_vti", "asim:digits_vit"),
        ("test_resnet.r161_in1k", "r160_in1k"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(ModelError) as caught:
        build_model(name)
    assert nearest in caught.value.hint


FACTORIES = """
from torch import nn

def net(num_classes=3, width=4):
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, num_classes))

def gray():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(4 * 36, 2))

def wrong():
    return "a string"

def breaks():
    raise ZeroDivisionError("in the factory")

ready = net()
constant = 3

class models:
    net = net
"""


@pytest.fixture
def factories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "my_factories.py").write_text(FACTORIES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "my_factories", raising=False)
    yield "my_factories"
    sys.modules.pop("my_factories", None)


def test_a_factory_in_the_working_directory(factories: str) -> None:
    before = list(sys.path)
    built = build_model(f"{factories}:net", num_classes=6, model_kwargs=["width=8"])
    assert built.source.kind == "python"
    assert built.source.name == f"{factories}:net"
    assert built.source.input_size == (3, 224, 224)
    assert built.source.aliases == {"@first_conv": ("0",), "@classifier": ("3",)}
    assert built.model(torch.zeros(1, 3, 32, 32)).shape == (1, 6)
    assert sys.path == before


@pytest.mark.parametrize("attribute", ["ready", "models.net"])
def test_a_factory_may_be_a_model_or_lie_deeper(factories: str, attribute: str) -> None:
    assert isinstance(build_model(f"{factories}:{attribute}").model, nn.Sequential)


def test_a_factory_whose_model_takes_other_images(factories: str) -> None:
    with pytest.raises(ModelError, match="does not take images of 3x224x224") as caught:
        build_model(f"{factories}:gray")
    assert "--input-size" in caught.value.hint
    built = build_model(f"{factories}:gray", input_size=(1, 8, 8))
    assert built.source.data_config["mean"] == [pytest.approx(0.449)]


@pytest.mark.parametrize(
    ("attribute", "words"),
    [
        ("nett", "no 'nett'"),
        ("wrong", "returned a str"),
        ("breaks", "ZeroDivisionError: in the factory"),
        ("constant", "is a int"),
    ],
)
def test_factories_that_make_no_model(factories: str, attribute: str, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        build_model(f"{factories}:{attribute}")


def test_a_module_that_is_missing_or_breaks(factories: str) -> None:
    with pytest.raises(ModelError, match="no Python module 'nowhere'"):
        build_model("nowhere:net")
    Path("needs_more.py").write_text("import not_installed_here")
    with pytest.raises(ModelError, match="needs not_installed_here"):
        build_model("needs_more:net")
    Path("is_broken.py").write_text("def")
    with pytest.raises(ModelError, match="SyntaxError"):
        build_model("is_broken:net")


def test_a_file_never_names_code(factories: str) -> None:
    marker = Path("was_run")
    Path("evil.py").write_text(f"open({str(marker)!r}, 'w')")
    for kind in ("python", "timm"):
        with pytest.raises(ModelError):
            rebuild_model(ModelSource(kind=kind, name="evil:net"))
    assert not marker.exists()


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("test_resnet", {"model_kwargs": {"bogus": 1}}, "bogus"),
        ("torchvision:vit_b_32", {"input_size": (3, 100, 100)}, "cannot be built for images of 3x100x100"),
        ("asim:digits_resnet", {"num_classes": 3}, "10 classes"),
        ("asim:digits_vit", {"input_size": (1, 9, 9)}, "does not take images of 1x9x9"),
        ("asim:digits_resnet", {"input_size": (3, 8, 8)}, "does not take images of 3x8x8"),
    ],
)
def test_what_a_model_cannot_do(name: str, options: dict, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        build_model(name, **options)


def test_pretrained_weights_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        message = "Name or service not known"
        raise ConnectionError(message)

    import timm

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(ModelError, match="cannot be downloaded") as caught:
        build_model("test_resnet", pretrained=True)
    assert "--checkpoint" in caught.value.hint


def test_torch_and_torchvision_that_do_not_belong_together(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: str) -> None:
        message = "operator torchvision::nms does not exist"
        raise RuntimeError(message)

    monkeypatch.setattr(library.importlib, "import_module", broken)
    with pytest.raises(ModelError, match="do not belong together") as caught:
        build_model("resnet18")
    assert "pip install" in caught.value.hint


def test_model_kwargs_are_literals_or_strings() -> None:
    words = ["a=1", "b=0.5", "c=True", "d=(1, 2)", "e=gelu", "f=x=y"]
    assert parse_model_kwargs(words) == {"a": 1, "b": 0.5, "c": True, "d": (1, 2), "e": "gelu", "f": "x=y"}
    for word in ("a", "=1", "a-b=1"):
        with pytest.raises(UsageError, match="NAME=VALUE"):
            parse_model_kwargs([word])


def test_parse_name() -> None:
    assert parse_name("resnet50.a1_in1k") == ("timm", "resnet50.a1_in1k")
    assert parse_name("hf-hub:timm/resnet50") == ("timm", "hf-hub:timm/resnet50")
    assert parse_name("pkg.module:factory") == ("python", "pkg.module:factory")


def test_aliases_of_a_model_with_two_heads() -> None:
    import timm

    model = timm.create_model("deit_tiny_distilled_patch16_224")
    assert find_aliases(model)["@classifier"] == ("head", "head_dist")


def test_trying_an_image_size_leaves_nothing_in_the_model() -> None:
    """This model keeps a table for the size that it saw last, as a buffer."""
    model = build_model("convit_tiny", input_size=(3, 64, 64)).model
    assert {type(buffer) for buffer in model.buffers()} == {torch.Tensor}
    assert {tuple(buffer.shape) for name, buffer in model.named_buffers() if "rel_indices" in name} == {(1, 1, 1, 3)}


@pytest.mark.parametrize("name", ["gpu", "tpu", "xla", "cuda:77", ""])
def test_devices_that_are_not_there(name: str) -> None:
    with pytest.raises(AsimError, match="device"):
        resolve_device(name)


def test_the_processor_is_there() -> None:
    assert resolve_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["asim:digits_resnet", "asim:digits_vit"])
def test_from_scratch_no_shipped_weight_is_left(name: str) -> None:
    """Class tokens and position embeddings neither, which no layer draws."""
    shipped, one, other, same = (
        build_model(name, scratch=scratch, seed=seed).model.state_dict()
        for scratch, seed in ((False, 0), (True, 0), (True, 1), (True, 0))
    )
    drawn = [key for key in one if not torch.equal(one[key], other[key])]  # neither ones nor zeros
    assert drawn
    assert all(torch.equal(one[key], same[key]) for key in one)
    for key, tensor in one.items():
        trained = not torch.equal(shipped[key], tensor)
        assert trained or key.endswith("num_batches_tracked"), key


def test_weights_of_ones_own_code_cannot_be_left_out() -> None:
    with pytest.raises(ModelError, match="brings weights of its own") as caught:
        build_model("torch.nn:Identity", scratch=True)
    assert "--scratch" in caught.value.hint
