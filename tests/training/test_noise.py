"""How much trim noise each site gets."""

from __future__ import annotations

import torch

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


def test_additive_noise_trains_other_weights() -> None:
    results = []
    for additive in (False, True):
        net = form(spec=spec(noise=0.5))
        set_trim_noise(net, tiny_images().images, recipe(mode="nat", trim_additive=additive))
        net.set_fidelity("proxy")
        net.reseed(0)
        torch.manual_seed(0)
        results.append(net(tiny_images().images))
    assert not torch.equal(*results)
