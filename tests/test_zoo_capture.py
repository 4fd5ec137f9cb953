"""Models of timm and torchvision through capture and all passes that depend on the model alone."""

from __future__ import annotations

from collections import Counter

import pytest
import timm
import torch
import torchvision
from torch import nn

from asim_fx.capture import capture
from asim_fx.ir import iter_sites

from .passes.helper import analyse, check_outputs_equal
from .passes.test_track_samples import check_layouts

# name: (pixels, how to build it smaller, sites of each kind)
FAST = {
    "resnet18": (32, {}, {"conv": 20, "linear": 1}),
    "mobilenetv3_small_050": (32, {}, {"conv": 53, "linear": 1}),
    "convnext_atto": (32, {}, {"conv": 40, "linear": 1}),
    "vit_tiny_patch16_224": (32, {"img_size": 32, "depth": 2}, {"conv": 1, "linear": 9, "qk": 2, "av": 2}),
    "swin_tiny_patch4_window7_224": (
        56,
        {"img_size": 56, "depths": (2, 2), "num_heads": (3, 6)},
        {"conv": 1, "linear": 18, "qk": 4, "av": 4},
    ),
    "resnetv2_50x1_bit": (32, {}, {"conv": 54}),
    "torchvision:swin_t": (64, {}, {"conv": 1, "linear": 52, "qk": 12, "av": 12}),
    "torchvision:vit_b_32": (64, {"image_size": 64}, {"conv": 1, "linear": 49, "qk": 12, "av": 12}),
}
SLOW = {
    "vgg11": (64, {}, {"conv": 10, "linear": 1}),
    "tf_efficientnet_lite0": (224, {}, {"conv": 49, "linear": 1}),
    "vit_tiny_patch16_224": (224, {}, {"conv": 1, "linear": 49, "qk": 12, "av": 12}),
    "swin_tiny_patch4_window7_224": (224, {}, {"conv": 1, "linear": 52, "qk": 12, "av": 12}),
    "nf_resnet50": (64, {}, {"conv": 53, "linear": 1}),
    "levit_128s": (224, {}, {"conv": 4, "linear": 48, "qk": 11, "av": 11}),
    "efficientvit_b0": (64, {}, {"conv": 50, "linear": 2, "matmul": 8}),
    "mvitv2_tiny": (224, {}, {"conv": 31, "linear": 44, "qk": 10, "av": 10, "matmul": 20}),
    "torchvision:resnet50": (64, {}, {"conv": 53, "linear": 1}),
    "torchvision:efficientnet_b0": (64, {}, {"conv": 81, "linear": 1}),
    "torchvision:vit_b_32": (224, {}, {"conv": 1, "linear": 49, "qk": 12, "av": 12}),
    "torchvision:swin_t": (224, {}, {"conv": 1, "linear": 52, "qk": 12, "av": 12}),
}


def build(name: str, options: dict[str, object]) -> nn.Module:
    """Build a model with random weights and batch norms that are not the identity."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        source, _, short = name.rpartition(":")
        model = torchvision.models.get_model(short, **options) if source else timm.create_model(short, **options)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.running_var, 0.5, 2)
                nn.init.uniform_(module.running_mean, -0.5, 0.5)
    return model.eval()


def check(name: str, pixels: int, options: dict[str, object], kinds: dict[str, int]) -> None:
    model = build(name, options)
    example = torch.zeros(1, 3, pixels, pixels)
    found = capture(model, example)
    sites, context = analyse(found.graph_module)
    folded = sum(op.macs for op in context.log.folded)
    assert found.eager_macs == found.batch * sum(site.macs for site in sites) + folded
    assert Counter(site.kind.value for site in sites) == kinds
    assert len({site.label for site in sites}) == len(sites)
    assert not any(site.unsupported for site in sites)
    assert model.state_dict().keys() <= found.graph_module.state_dict().keys()
    assert all(
        site.layout is not None and site.input_layout is not None for _, site in iter_sites(found.graph_module.graph)
    )
    # Folding batch norm reassociates float32 products; deep random networks amplify that.
    check_outputs_equal(model, found.graph_module, (example,), tolerance=1e-4)
    check_layouts(found.graph_module, example, batch=2)


@pytest.mark.parametrize("name", FAST)
def test_small(name: str) -> None:
    check(name, *FAST[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_whole(name: str) -> None:
    check(name, *SLOW[name])
