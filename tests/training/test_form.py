"""The training form computes the model, and has gradients for all of it."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

import asim_fx
from asim_fx.errors import OutputError
from asim_fx.nn.trainable import Drop, DropPath, TrainableNorm
from asim_fx.training.form import bounds_of, deploy, original_state, trainable_form

from .helper import form, spec, tiny_images, tiny_net


def test_it_is_the_model_at_inference_and_trains_otherwise() -> None:
    model, net = tiny_net(), form()
    x = tiny_images().images
    net.set_fidelity("float")
    with torch.no_grad():
        assert torch.allclose(net.eval()(x), model(x), atol=1e-5)
        torch.manual_seed(0)
        ours = net.train()(x)
        torch.manual_seed(0)
        assert torch.allclose(ours, model.train()(x), atol=1e-5)
    assert torch.allclose(net.body.state_dict()["bn2.running_var"], model.bn2.running_var, atol=1e-6)


@pytest.mark.parametrize("fidelity", ["float", "integer", "proxy", "hardware"])
@pytest.mark.parametrize("pact", [False, True])
def test_every_parameter_has_a_finite_gradient(fidelity: str, pact: bool) -> None:
    net = form(pact=pact)
    net.set_fidelity(fidelity)
    net(tiny_images().images * 4).square().mean().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
    assert len(bounds_of(net)) == 2 * pact


def test_the_state_dict_is_the_models_and_the_bounds() -> None:
    model, net = tiny_net(), form(pact=True)
    extra = net.body.state_dict().keys() - model.state_dict().keys()
    assert extra == {"act1.pact_alpha", "act2.pact_alpha"}
    assert original_state(net, model).keys() == model.state_dict().keys()


def test_learned_bounds_start_from_those_that_are_given() -> None:
    net = form(pact=True, bounds={"act2": 1.5})
    assert [bound.item() for bound in bounds_of(net)] == [6.0, 1.5]


def test_deployed_it_has_the_same_sites_and_bounds() -> None:
    net = form(pact=True)
    with torch.no_grad():
        for bound in bounds_of(net):
            bound.fill_(2.5)
    result = deploy(net, tiny_net())
    assert {name: site.config for name, site in result.sites().items()} == {
        name: site.config for name, site in net.sites().items()
    }
    assert [bound.item() for bound in bounds_of(result)] == [2.5, 2.5]


def test_a_training_form_is_not_saved(tmp_path) -> None:
    with pytest.raises(OutputError, match="training form"):
        form().save(tmp_path / "out")


def test_what_the_graph_calls() -> None:
    kinds = [type(module) for module in form().modules()]
    assert kinds.count(TrainableNorm) == 2
    assert kinds.count(Drop) == 1


def test_stochastic_depth_is_captured() -> None:
    model = timm.create_model(
        "convnext_atto",
        num_classes=3,
        drop_path_rate=0.5,
        in_chans=1,
        depths=(1, 1, 1, 2),
        dims=(4, 4, 8, 8),
        patch_size=2,
    ).eval()
    net = trainable_form(model, spec(), (torch.randn(2, 1, 32, 32),))
    shares = [module.share for module in net.modules() if isinstance(module, DropPath)]
    assert shares
    assert max(shares) == 0.5
    net.set_fidelity("float")
    x = torch.randn(4, 1, 32, 32)
    torch.manual_seed(0)
    one = net(x)
    assert not torch.equal(one, net(x))
    assert torch.allclose(net.eval()(x), model(x), atol=1e-5)


def test_weights_that_are_computed_are_trained() -> None:
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Conv2d(1, 4, 3)), nn.Flatten(), nn.Linear(16, 3))
    net = trainable_form(model.eval(), spec(), (torch.randn(2, 1, 4, 4),))
    net.set_fidelity("proxy")
    net(torch.randn(4, 1, 4, 4)).sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())
    assert deploy(net, model).sites().keys() == net.sites().keys()


def test_a_plain_conversion_is_what_it_was() -> None:
    """Neither PACT nor the training form leaves a trace where nobody asked for them."""
    converted = asim_fx.convert(tiny_net(), spec(), torch.randn(2, 1, 4, 4))
    assert not bounds_of(converted)
    assert not any(isinstance(module, (TrainableNorm, Drop)) for module in converted.modules())
