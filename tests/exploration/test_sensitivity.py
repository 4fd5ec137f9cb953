from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import asim_fx
from asim_fx.analysis import analyse
from asim_fx.exploration.findings import Workbench, measure_sites
from asim_fx.exploration.images import Images
from asim_fx.exploration.knapsack import hull
from asim_fx.exploration.options import Choices
from asim_fx.exploration.sensitivity import movements, reference_options, site_noise
from asim_fx.spec import load_spec

QUIET = ["macros.m.noise.random_percent_fs=0", "macros.m.noise.nonlinear_percent_fs=0"]


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(8, 12, batch_first=True)
        self.head = nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x[:, 0])[0][:, -1])


def bench_of(model: nn.Module, pixels: Tensor, *settings: str) -> Workbench:
    with torch.no_grad():
        images = Images(pixels, model(pixels).argmax(1), 8)
    return Workbench(analyse(model, pixels[:2]), load_spec("generic-255x8b", settings), images, images, seeds=(0,))


def test_sites_of_a_recurrence_are_measured() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Recurrent().eval()
    bench = bench_of(model, torch.randn(8, 1, 8, 8, generator=torch.Generator().manual_seed(1)))
    found = measure_sites(bench, Choices((2, 4), (0,), ((0, 1),)), samples=8)
    assert set(found.sites) == {"rnn.weight_ih_l0", "rnn.weight_hh_l0", "head"}
    for site in found.sites:
        assert 0 < found.noise[0][site] < found.noise[1][site]
        assert found.sensitivity[site] > 0


def test_the_reference_of_a_site_is_the_middle_of_what_is_heard_there() -> None:
    noise = [{"a": 1e-2, "b": 1e-7}, {"a": 1e-1, "b": 1e-6}, {"a": 9e-1, "b": 1e-3}, {"a": 1e-6, "b": 50.0}]
    assert reference_options(noise, ["a", "b"]) == {"a": 1, "b": 2}
    assert reference_options([{"a": 1e-6}, {"a": 1e-5}, {"a": 0.0}], ["a"]) == {"a": 1}


def test_noise_does_not_depend_on_the_scale_of_an_output_of_zeros() -> None:
    """Zero power is no reason to call a site exact."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    nn.init.zeros_(model[1].weight)
    nn.init.zeros_(model[1].bias)
    pixels = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    converted = asim_fx.convert(model, load_spec("generic-255x8b", ["macros.m.noise.random_percent_fs=0.5"]), pixels)
    (noise,) = site_noise(converted, Images(pixels, torch.zeros(4, dtype=torch.int64), 4)).values()
    with torch.no_grad():
        assert noise == pytest.approx(float(converted(pixels).double().square().sum()), rel=0.9)


def test_an_option_of_total_error_is_never_harmless(small_net: nn.Module) -> None:
    """Two of three options are all but exact: the reference must be the one that is heard."""
    pixels = torch.randn(16, 2, 8, 8, generator=torch.Generator().manual_seed(2))
    found = measure_sites(bench_of(small_net, pixels, *QUIET), Choices((), (), (), (5, 8, 9)), samples=16)
    assert max(found.noise[0].values()) >= 1.0
    for menu, site in zip(found.menus("conversions"), found.sites, strict=True):
        assert found.noise[0][site] > 100 * max(found.noise[1][site], found.noise[2][site])
        assert menu[0].damage > 100 * max(menu[1].damage, menu[2].damage)
        assert hull(menu)[-1] != 0


def test_the_passes_do_not_grow_with_references(small_net: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many options are references, each site is measured once."""
    from asim_fx.exploration import findings

    asked: list[str] = []

    def counted(converted: object, data: Images, sites: list[str], seeds: tuple[int, ...]) -> dict[str, float]:
        asked.extend(sites)
        return movements(converted, data, sites, seeds)  # type: ignore[arg-type]

    monkeypatch.setattr(findings, "movements", counted)
    pixels = torch.randn(8, 2, 8, 8, generator=torch.Generator().manual_seed(2))
    found = measure_sites(bench_of(small_net, pixels), Choices((1, 2), (0,), ((0, 1), (1, 3), (4, 3))), samples=8)
    assert sorted(asked) == sorted(found.sites)
