"""The training form computes the model, and has gradients for all of it."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

import asim_fx
from asim_fx.errors import OutputError, UsageError
from asim_fx.nn.trainable import Drop, DropPath, TrainableNorm
from asim_fx.training.form import bounds_of, deploy, original_state, trainable_form, unused_parameters

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
def test_every_parameter_has_a_gradient(fidelity: str, pact: bool) -> None:
    net = form(pact=pact, bounds={"act1": 1.0, "act2": 1.0})
    net.set_fidelity(fidelity)
    net(tiny_images().images * 4).square().mean().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        if name != "body.conv.bias":  # the batch norm behind it takes its mean away
            assert (parameter.grad != 0).float().mean() > 0.5, name
    assert len(bounds_of(net)) == 2 * pact


@pytest.mark.parametrize("fidelity", ["integer", "proxy", "hardware"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5])
def test_bounds_behind_dropout_have_the_gradient_of_the_float_model(
    fidelity: str, dtype: torch.dtype, share: float
) -> None:
    """Nearly: rounded operands change it by little. Masked values would take most or all of it."""
    found = []
    for kind in ("float", fidelity):
        model = tiny_net()
        model.drop.p = share
        net = form(model, pact=True, bounds={"act1": 0.7001, "act2": 0.7001})
        net.set_fidelity(kind)
        torch.manual_seed(0)
        with torch.autocast("cpu", dtype=dtype, enabled=dtype is not torch.float32):
            scores = net(tiny_images().images)
        scores.float().square().sum().backward()
        found.append(net.get_parameter("body.act2.pact_alpha").grad.item())
    assert found[1] == pytest.approx(found[0], rel=0.1)
    assert deploy(net, tiny_net()).sites().keys() == net.sites().keys()


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


class BesideItsDropout(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.drop = nn.Dropout(0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.fc(x)
        return torch.cat([self.drop(x), x, nn.functional.dropout(x, 0.25, self.training)], 1)


def test_a_value_beside_its_dropout_is_not_dropped() -> None:
    net = trainable_form(BesideItsDropout(), spec(), (torch.randn(2, 4),))
    net.set_fidelity("float")
    dropped, kept, less = net(torch.randn(100, 4)).chunk(3, 1)
    assert (kept != 0).all()
    assert (dropped == 0).float().mean().item() == pytest.approx(0.5, abs=0.13)  # five standard errors
    assert (less == 0).float().mean().item() == pytest.approx(0.25, abs=0.11)


class WithAuxiliaryHead(nn.Module):
    """Its second head answers in training alone, as in GoogLeNet; its third shares the weights of the first."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 4)
        self.norm = nn.BatchNorm2d(4)
        self.fc = nn.Linear(4, 3)
        self.aux = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 3))
        self.again = self.fc

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.stem(x)).flatten(1)
        return self.fc(x) + self.aux(x) if self.training else self.fc(x)


def test_what_inference_does_not_use_stays_the_models_own() -> None:
    model = WithAuxiliaryHead().eval()
    net = trainable_form(model, spec(), (torch.randn(2, 1, 4, 4),))
    assert unused_parameters(net, model) == ["aux.0.weight", "aux.0.bias", "aux.1.weight", "aux.1.bias"]
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(1)
    state = original_state(net, model)
    assert state.keys() == model.state_dict().keys()
    for key, tensor in model.state_dict().items():
        moved = key in ("stem.weight", "stem.bias", "norm.weight", "norm.bias") or key.startswith(("fc", "again"))
        assert torch.equal(state[key], tensor + 1 if moved else tensor), key


def test_a_model_without_used_parameters_is_refused() -> None:
    class Constant(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(2, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.fc(x) if self.training else x * 2

    with pytest.raises(UsageError, match="nothing to train"):
        trainable_form(Constant().eval(), spec(), (torch.randn(2, 2),))


def test_batch_norms_that_average_over_all_batches_are_refused_unless_frozen() -> None:
    model = tiny_net()
    model.bn2.momentum = None
    with pytest.raises(UsageError, match="bn2 has no momentum"):
        form(model)
    form(model, freeze_bn=True)


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
