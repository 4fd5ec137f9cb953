"""The reference finds what it is there to find."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

import asim_fx
from asim_fx.ops.config import Operand
from benchmarks.fake_quantised import agreement, difference, fake_quantise


@pytest.fixture
def pair(small_net: nn.Module, images: Tensor) -> tuple[nn.Module, asim_fx.ConvertedModel]:
    return small_net, asim_fx.convert(small_net, "ideal", images)


def test_an_untouched_pair_agrees(pair: tuple[nn.Module, asim_fx.ConvertedModel], images: Tensor) -> None:
    found = agreement(*pair, (images,))
    assert found.calls == 6
    assert 0 < found.sites < 1e-6
    assert found.graphs < 1e-5
    assert found.outputs < 1e-2
    assert not any(site._forward_hooks for site in pair[1].sites().values())
    assert {site.fidelity for site in pair[1].sites().values()} == {"hardware"}


def test_a_site_that_computes_something_else(pair: tuple[nn.Module, asim_fx.ConvertedModel], images: Tensor) -> None:
    site = pair[1].sites()["qkv.cim"]
    site.config = replace(site.config, weight=Operand(7, signed=True))
    found = agreement(*pair, (images,))
    assert found.worst_site == "qkv.cim"
    assert found.sites > 1e-3
    assert found.graphs < 1e-5


def test_a_graph_that_is_another_model(pair: tuple[nn.Module, asim_fx.ConvertedModel], images: Tensor) -> None:
    with torch.no_grad():
        pair[1].graph_module.head.bias[0] += 1
    found = agreement(*pair, (images,))
    assert found.sites < 1e-6
    assert found.graphs > 1e-3


def test_a_converter_is_seen(small_net: nn.Module, images: Tensor) -> None:
    coarse = asim_fx.load_spec("generic-255x8b", ["macros.m.adc.bits=5"])
    found = agreement(small_net, asim_fx.convert(small_net, coarse, images), (images,))
    assert found.sites > 1e-3
    assert found.outputs > 1e-3


def test_an_unsigned_operand_must_not_be_negative() -> None:
    operand = Operand(8, signed=False)
    assert torch.equal(fake_quantise(torch.tensor([0.0, 255.0]), operand), torch.tensor([0.0, 255.0]).double())
    with pytest.raises(ValueError, match="unsigned operand holds -1"):
        fake_quantise(torch.tensor([-1.0, 2.0]), operand)


def test_difference_takes_the_worst_tensor_and_refuses_other_shapes() -> None:
    expected = {"a": torch.tensor([10.0, 1.0]), "b": [torch.tensor([1.0])]}
    assert difference(expected, {"a": torch.tensor([10.0, 2.0]), "b": [torch.tensor([1.5])]}) == 0.5
    assert difference(torch.zeros(2), torch.tensor([0.0, 3.0])) == 3.0
    broken = torch.tensor([1.0, float("nan")])
    assert difference([torch.ones(2), torch.ones(2)], [torch.ones(2), broken]) == float("inf")
    assert difference([broken, torch.ones(2)], [broken, torch.ones(2)]) == float("inf")
    with pytest.raises(ValueError, match="shapes"):
        difference(torch.zeros(2), torch.zeros(3))


@pytest.mark.parametrize("method", ["max", "mse"])
def test_static_scales_and_scales_of_channels(small_net: nn.Module, images: Tensor, method: str) -> None:
    settings = ["defaults.scale=static", f"defaults.calibration.method={method}", "defaults.weight_scale=channel"]
    converted = asim_fx.convert(small_net, asim_fx.load_spec("ideal", settings), images)
    asim_fx.calibrate(converted, [images])
    assert agreement(small_net, converted, (images,)).sites < 1e-6
