"""Models from ``.pt2`` files: their names, inputs, batch and options."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from asim_fx.errors import CheckpointError, UsageError
from asim_fx.models import build_model, parse_name, rebuild_model
from tests.models.pt2.archives import Tiny, write_tiny


class AnySize(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x).mean((2, 3))


class Words(nn.Module):
    """Takes token numbers and a mask by keyword, returns a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(50, 8)
        self.out = nn.Linear(8, 4)

    def forward(self, ids: Tensor, *, mask: Tensor) -> dict[str, Tensor]:
        return {"out": self.out(self.table(ids) * mask[..., None])}


@pytest.fixture
def tiny(tmp_path: Path) -> tuple[Path, Tiny]:
    path = tmp_path / "tiny.pt2"
    return path, write_tiny(path)


def test_the_name_of_a_file_says_what_it_is() -> None:
    assert parse_name("models/my.net.pt2") == ("exported", "models/my.net.pt2")


def test_a_file_gives_the_model_back(tiny: tuple[Path, Tiny]) -> None:
    path, model = tiny
    built = build_model(str(path))
    images = torch.randn(5, 3, 6, 6)
    assert torch.equal(built.model(images), model(images))
    assert built.model.state_dict().keys() == model.state_dict().keys()
    assert built.source.input_size == (3, 6, 6)
    assert built.source.data_config["input_size"] == [3, 6, 6]
    assert torch.equal(rebuild_model(built.source)(images), model(images))


def test_a_model_of_words_keeps_its_own_inputs(tmp_path: Path) -> None:
    path, ids, mask = tmp_path / "words.pt2", torch.randint(0, 50, (2, 7)), torch.ones(2, 7)
    model = Words().eval()
    torch.export.save(torch.export.export(model, (ids,), {"mask": mask}), path)
    built = build_model(str(path))
    assert built.example is not None
    args, kwargs = built.example
    assert torch.equal(args[0], ids)
    assert torch.equal(kwargs["mask"], mask)
    assert built.source.input_size is None
    assert torch.equal(built.model(ids, mask=mask)["out"], model(ids, mask=mask)["out"])


def test_weights_of_a_checkpoint_replace_those_of_the_file(tiny: tuple[Path, Tiny], tmp_path: Path) -> None:
    path, model = tiny
    zeros = {name: torch.zeros_like(tensor) for name, tensor in model.state_dict().items()}
    save_file(zeros, tmp_path / "zeros.safetensors")
    built = build_model(str(path), checkpoint=tmp_path / "zeros.safetensors")
    assert not built.model(torch.randn(2, 3, 6, 6)).any()
    save_file({"other": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="does not fit"):
        build_model(str(path), checkpoint=tmp_path / "other.safetensors")


def test_a_size_that_the_export_fixed_cannot_be_changed(tiny: tuple[Path, Tiny]) -> None:
    with pytest.raises(UsageError, match="exported for images of 3x6x6, not 3x8x8"):
        build_model(str(tiny[0]), input_size=(3, 8, 8))
    assert build_model(str(tiny[0]), input_size=(3, 6, 6)).source.input_size == (3, 6, 6)


def test_a_size_that_the_export_left_open_can_be_chosen(tmp_path: Path) -> None:
    path, dim = tmp_path / "any.pt2", torch.export.Dim.DYNAMIC
    shapes = ({0: dim, 2: dim, 3: dim},)
    torch.export.save(torch.export.export(AnySize(), (torch.randn(2, 3, 9, 9),), dynamic_shapes=shapes), path)
    built = build_model(str(path), input_size=(3, 12, 10))
    assert built.example is not None
    assert built.example[0][0].shape[1:] == (3, 12, 10)


@pytest.mark.parametrize(
    ("option", "word"),
    [
        ({"pretrained": True}, "--pretrained"),
        ({"num_classes": 3}, "--num-classes"),
        ({"model_kwargs": {"depth": 2}}, "--model-kwargs"),
        ({"device": "meta"}, "meta"),
    ],
)
def test_options_of_models_that_get_built_are_refused(option: dict, word: str, tiny: tuple[Path, Tiny]) -> None:
    with pytest.raises(UsageError, match=word):
        build_model(str(tiny[0]), **option)
