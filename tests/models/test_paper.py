"""The networks for CIFAR: torchvision's names, small stems, no weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from asim_fx.errors import ModelError
from asim_fx.models import build_model, matching_models
from asim_fx.models.cifar import PaddedShortcut
from asim_fx.models.pact import Pact
from asim_fx.models.paper import CIFAR_MODELS


@pytest.mark.parametrize(("depth", "parameters"), [(20, 269_722), (32, 464_154), (56, 853_018), (110, 1_727_962)])
def test_the_thin_resnets_have_the_papers_layers_and_parameters(depth: int, parameters: int) -> None:
    built = build_model(f"asim:resnet{depth}_cifar", device="meta")
    layers = [module for module in built.model.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert len(layers) == depth
    assert sum(value.numel() for value in built.model.parameters()) == parameters
    assert built.source.data_config["mean"] == [0.485, 0.456, 0.406]
    assert built.source.aliases == {"@first_conv": ("conv1",), "@classifier": ("linear",)}


def test_a_shortcut_halves_the_image_and_pads_channels_on_both_sides() -> None:
    x = torch.arange(32.0).reshape(1, 2, 4, 4)
    result = PaddedShortcut(2, 4)(x)
    assert result.shape == (1, 4, 2, 2)
    assert torch.equal(result[:, 1:3], x[:, :, ::2, ::2])
    assert not result[:, [0, 3]].any()


@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152])
def test_a_resnet_keeps_the_names_of_torchvision_and_the_size_of_its_images(depth: int) -> None:
    built = build_model(f"asim:resnet{depth}_cifar", device="meta")
    origin = build_model(f"torchvision:resnet{depth}", device="meta", num_classes=10).model.state_dict()
    shapes = {key: value.shape for key, value in built.model.state_dict().items()}
    assert shapes.pop("conv1.weight") == (64, 3, 3, 3)
    assert shapes == {key: value.shape for key, value in origin.items() if key != "conv1.weight"}
    assert built.model.layer1(built.model.maxpool(built.model.conv1(torch.empty(1, 3, 32, 32, device="meta")))).shape[
        2:
    ] == (32, 32)


@pytest.mark.parametrize(
    ("name", "convolutions"),
    [("vgg11", 8), ("vgg13", 10), ("vgg16", 13), ("vgg19", 16), ("vgg11_bn", 8), ("vgg19_bn", 16)],
)
def test_a_vgg_pools_twice(name: str, convolutions: int) -> None:
    model = build_model(f"asim:{name}_cifar", device="meta").model
    widths = [
        [module.out_channels for module in net.modules() if isinstance(module, nn.Conv2d)]
        for net in (model, build_model(f"torchvision:{name}", device="meta").model)
    ]
    assert len(widths[0]) == convolutions
    assert widths[0] == widths[1]
    assert sum(isinstance(module, nn.MaxPool2d) for module in model.modules()) == 2


def test_a_vit_is_torchvisions() -> None:
    built = build_model("asim:vit_b_32_cifar", device="meta")
    origin = build_model("torchvision:vit_b_32", device="meta", num_classes=10).model
    assert str(built.model).replace("eps=1e-05", "eps=1e-06") == str(origin)
    assert built.source.input_size == (3, 224, 224)
    assert built.source.data_config["crop_pct"] == 1.0


def test_classes_decide_how_images_are_normalised() -> None:
    ten = build_model("asim:resnet18_cifar")
    hundred = build_model("asim:resnet18_cifar", num_classes=100)
    assert ten.model(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    assert hundred.model.fc.out_features == 100
    assert ten.source.data_config["mean"] == [0.4914, 0.4822, 0.4465]
    assert hundred.source.data_config["mean"] == [0.5071, 0.4867, 0.4408]


def test_they_can_be_listed_and_have_no_weights() -> None:
    assert set(matching_models("asim:*_cifar")) == {f"asim:{name}" for name in CIFAR_MODELS}
    with pytest.raises(ModelError, match="no weights of its own"):
        build_model("asim:vgg16_bn_cifar", pretrained=True)
    with pytest.raises(ModelError) as error:
        build_model("asim:resnet18_cifr")
    assert "asim:resnet18_cifar" in error.value.hint


def test_bounds_on_request_clip_the_activations() -> None:
    built = build_model("asim:resnet18_cifar", model_kwargs={"pact": True})
    bounds = {name for name, _ in built.model.named_parameters() if name.endswith(".alpha")}
    assert bounds == {"relu.alpha", *(f"layer{n}.{m}.relu.alpha" for n in (1, 2, 3, 4) for m in (0, 1))}
    assert all(bound == 6 for name, bound in built.model.named_parameters() if name in bounds)
    with torch.no_grad():
        built.model.relu.alpha.fill_(0.5)
        result = built.model.relu(torch.tensor([-1.0, 0.25, 3.0]))
    assert result.tolist() == [0, 0.25, 0.5]
    vgg = build_model("asim:vgg11_bn_imagenet", device="meta", model_kwargs={"pact": True}).model
    assert isinstance(vgg.features[2], nn.ReLU)
    assert sum(name.endswith(".alpha") for name, _ in vgg.named_parameters()) == 9


def test_a_bound_learns_from_what_it_clips() -> None:
    unit = Pact()
    x = torch.tensor([-1.0, 2.0, 7.0, 9.0], requires_grad=True)
    (unit(x) * torch.tensor([1.0, 2.0, 3.0, 4.0])).sum().backward()
    assert unit.alpha.grad == 7
    assert x.grad.tolist() == [0, 2, 0, 0]


def test_bounds_of_a_thin_resnet() -> None:
    model = build_model("asim:resnet20_cifar", device="meta", model_kwargs={"pact": True}).model
    assert sum(isinstance(module, Pact) for module in model.modules()) == 19
    assert build_model("asim:resnet20_cifar", device="meta", num_classes=100).model.linear.out_features == 100


def test_those_for_imagenet_are_torchvisions() -> None:
    built = build_model("asim:resnet50_imagenet", device="meta")
    origin = build_model("torchvision:resnet50", device="meta")
    assert str(built.model) == str(origin.model)
    assert built.source.input_size == (3, 224, 224)
    assert built.source.data_config["mean"] == origin.source.data_config["mean"]
