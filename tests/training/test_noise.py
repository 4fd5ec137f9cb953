"""How much trim noise each site gets."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from asim_fx.nn import CimRecurrence
from asim_fx.training.form import trainable_form
from asim_fx.training.noise import measure_trim_noise, set_trim_noise

from .helper import form, recipe, spec, tiny_images


def levels(**changes: object) -> dict[str, float]:
    net = form(spec=spec(noise=0.5))
    set_trim_noise(net, tiny_images().images, recipe(**changes))
    return {name: site.trim_noise for name, site in net.sites().items()}


def test_it_is_measured_unless_given() -> None:
    net = form(spec=spec(noise=0.5))
    measured = measure_trim_noise(net, tiny_images().images)
    assert levels(mode="nat") == measured
    assert set(levels(mode="nat", trim_noise=7.0).values()) == {7.0}
    assert set(levels(mode="qat").values()) == {0.0}


def test_more_noise_measures_more() -> None:
    little, much = (measure_trim_noise(form(spec=spec(noise=n)), tiny_images().images) for n in (0.5, 2.0))
    noisy = [name for name in little if name != "stem.cim"]  # the stem is digital
    assert noisy
    for name in noisy:
        assert 2 < much[name] / little[name] < 5  # 4, but for the steps of the converter
    assert little["stem.cim"] == 0


def test_the_factor_multiplies_it() -> None:
    once, twice = levels(mode="nat"), levels(mode="nat", trim_factor=2.0)
    assert any(once.values())
    assert twice == {name: 2 * level for name, level in once.items()}
    assert set(levels(mode="nat", trim_noise=7.0, trim_factor=0.5).values()) == {3.5}


@pytest.mark.parametrize("additive", [False, True])
def test_sites_add_noise_of_the_spread_that_the_recipe_says(additive: bool) -> None:
    """Of one linear site with 10,000 results: in percent of each of them, or of their root mean square."""
    model = nn.Sequential(nn.Linear(4, 10, bias=False))
    net = trainable_form(model, spec(), (torch.randn(2, 4),)).eval()
    x = torch.randn(1000, 4, generator=torch.Generator().manual_seed(0))
    net.set_fidelity("proxy")
    exact = net(x)
    set_trim_noise(net, x[:8], recipe(mode="nat", trim_noise=5.0, trim_factor=2.0, trim_additive=additive))
    noise = net(x) - exact
    size = exact.square().mean().sqrt() if additive else exact.abs()
    some = exact != 0
    assert (noise / size)[some].std().item() == pytest.approx(0.1, rel=0.05)  # standard error 0.7 %
    small = exact.abs() < exact.abs().median()
    spreads = noise[small].std() / noise[~small].std()
    assert spreads.item() == pytest.approx(1, rel=0.05) if additive else spreads < 0.5


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(4, 8, batch_first=True)
        self.fc = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.lstm(x[:, 0])[0][:, -1])


def test_recurrences_have_noise_too() -> None:
    """As much as a linear layer of the same weights and states has: it is measured at what the arrays give."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Recurrent().eval()
    found = []
    for noise in (0.5, 2.0):
        net = trainable_form(model, spec(noise=noise), (torch.randn(2, 1, 4, 4),))
        levels = measure_trim_noise(net, tiny_images().images)
        assert levels.keys() == net.sites().keys()
        found.append(levels)
    (name,) = (name for name, site in net.sites().items() if isinstance(site, CimRecurrence))
    assert found[0][name] > 0
    assert 2.5 < found[1][name] / found[0][name] < 5  # 4, but for the steps of the converter
    assert all(site.observer is None for site in net.sites().values())
    assert all(site.fidelity == "hardware" for site in net.sites().values())
    set_trim_noise(net, tiny_images().images, recipe(mode="nat"))
    net.eval().set_fidelity("proxy")
    assert net.sites()[name].trim_noise == pytest.approx(found[1][name], rel=0.1)  # other draws
    net.reseed(0)
    noisy = net(tiny_images().images)
    net.reseed(1)
    assert not torch.equal(noisy, net(tiny_images().images))
