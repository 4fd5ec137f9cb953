"""Models without values, and the inputs of models that take something else than one batch of images."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from asim_fx.errors import UsageError
from asim_fx.models import build_model


@pytest.mark.parametrize("name", ["test_vit", "torchvision:regnet_y_400mf", "asim:digits_resnet"])
def test_no_tensor_has_values(name: str) -> None:
    built = build_model(name, device="meta")
    held = [*built.model.parameters(), *built.model.buffers()]
    assert all(tensor.is_meta for tensor in held)
    with_values = build_model(name).model.state_dict()
    assert {key: value.shape for key, value in built.model.state_dict().items()} == {
        key: value.shape for key, value in with_values.items()
    }


def test_the_image_size_is_checked_without_values() -> None:
    assert build_model("test_vit", device="meta", input_size=(3, 64, 64)).input_shapes == ((3, 64, 64),)
    with pytest.raises(UsageError, match="3x9x9"):
        build_model("vgg11", device="meta", input_size=(3, 9, 9))


@pytest.mark.parametrize("options", [{"pretrained": True}, {"checkpoint": Path("weights.safetensors")}])
def test_weights_have_no_place_there(options: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="no values"):
        build_model("test_vit", device="meta", **options)


@pytest.mark.parametrize(
    ("name", "size", "shapes"),
    [
        ("torchvision:r3d_18", None, ((3, 16, 112, 112),)),
        ("torchvision:r3d_18", (3, 32, 32), ((3, 16, 32, 32),)),
        ("torchvision:raft_small", (3, 128, 128), ((3, 128, 128), (3, 128, 128))),
        ("torchvision:fcn_resnet50", None, ((3, 224, 224),)),
    ],
)
def test_every_model_says_what_it_takes(
    name: str, size: tuple[int, int, int] | None, shapes: tuple[tuple[int, ...], ...]
) -> None:
    built = build_model(name, device="meta", input_size=size)
    assert built.input_shapes == shapes
    is_image = len(shapes) == 1 and len(shapes[0]) == 3
    assert bool(built.source.data_config) is is_image
    with torch.no_grad():
        built.model(*(torch.zeros(2, *shape, device="meta") for shape in shapes))
