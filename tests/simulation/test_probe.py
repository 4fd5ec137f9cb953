"""Ratios of signal to noise, against what theory says of known errors."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import asim_fx
from asim_fx.data.source import DataSource
from asim_fx.errors import DataError, UsageError
from asim_fx.report.fidelity import FidelityReport
from asim_fx.simulation.probe import probe


class Images:
    """A list of images in memory."""

    identity = "test"
    classes = 5

    def __init__(self, images: Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.images[index], 0

    def where(self, index: int) -> str:
        return str(index)


def source(images: Tensor, batch_size: int = 4) -> DataSource:
    return DataSource("images", "test", len(images), 5, batch_size, Images(images), 0)


def probed(model: nn.Module, images: Tensor, *overrides: str, spec: str = "generic-255x8b") -> FidelityReport:
    settings = ["engine=torch", *overrides]
    return probe(asim_fx.convert(model, asim_fx.load_spec(spec, settings), images[:2]), source(images))


def test_without_noise_a_lossless_chip_is_exact(small_net: nn.Module, images: Tensor) -> None:
    quiet = [f"macros.m.noise.{name}_percent_fs=0" for name in ("random", "nonlinear")]
    report = probed(small_net, images, *quiet)
    assert [site.site for site in report.sites] == ["stem", "depthwise", "qkv", "qk", "av", "head"]
    for site in report.sites:
        assert site.csnr_db == math.inf
        assert site.cumulative_csnr_db == math.inf
        assert site.snr_db == site.sqnr_db
        assert 20 < site.sqnr_db < 60
    assert report.images == len(images)
    assert {site.kind for site in report.sites} == {"conv", "linear", "qk", "av"}


@pytest.mark.parametrize("bits", [4, 6, 8])
def test_quantisation_gains_six_decibels_a_bit(bits: int) -> None:
    # Uniform inputs in -1..1 times 256 weights of exactly +-1: only the inputs are rounded, in steps of 2 / (2^b - 2).
    generator = torch.Generator().manual_seed(0)
    layer = nn.Linear(256, 32, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.randint(0, 2, (32, 256), generator=generator) * 2.0 - 1)
    x = torch.rand(200, 256, generator=generator) * 2 - 1
    report = probed(nn.Sequential(layer), x, f"defaults.input_bits={bits}", spec="ideal")
    signal, step = 1 / 3, 1 / (2 ** (bits - 1) - 1)
    # Standard error of 6,400 squares, correlated within a vector, is well below 0.2 dB.
    assert report.sites[0].sqnr_db == pytest.approx(10 * math.log10(signal / (step**2 / 12)), abs=0.3)


def test_known_noise_gives_its_ratio() -> None:
    generator = torch.Generator().manual_seed(0)
    layer = nn.Linear(100, 40, bias=True)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(40, 100, generator=generator))
        layer.bias.fill_(100.0)  # no part of the signal
    x = torch.rand(60, 100, generator=generator) * 2 - 1  # about half of each plane is set, so that no read is near 0
    ideal = ["macros.m.adc.bits=14", "macros.m.noise.nonlinear_percent_fs=0", "macros.m.noise.random_percent_fs=0.5"]
    report = probed(nn.Sequential(layer), x, *ideal, "defaults.signed=true", "rules.0.optional=true")
    site = report.sites[0]
    # Each of 8 x 8 reads is off by 0.5 % of 255, times its place; independent, so variances add up.
    reads = sum(4.0**i * 4.0**j for i in range(8) for j in range(8)) * (0.005 * 255) ** 2
    scale_x = float(x[:4].abs().max()) / 127  # nearly the same for every batch
    scale_w = float(layer.weight.abs().max()) / 127
    noise = reads * (scale_x * scale_w) ** 2
    signal = float((x @ layer.weight.T).square().mean())
    # 2,400 independent errors: a standard error of 0.13 dB, and the scale of each batch is a few percent off at most.
    assert site.csnr_db == pytest.approx(10 * math.log10(signal / noise), abs=0.6)
    assert site.cumulative_csnr_db == pytest.approx(site.csnr_db, abs=0.5)


def test_the_broken_layer_is_named(small_net: nn.Module, images: Tensor, tmp_path: Path) -> None:
    spec = tmp_path / "chip.yaml"
    spec.write_text(
        "version: 1\nname: chip\nmacros: {m: {rows: 255, adc: {bits: 8}}}\nengine: torch\n"
        "rules:\n- {match: {name: qkv}, macro: {adc: {bits: 4}}}\n"
    )
    report = probe(asim_fx.convert(small_net, spec, images[:2]), source(images))
    assert report.worst is not None
    assert report.worst.site == "qkv"
    after = {site.site: site for site in report.sites}
    assert after["depthwise"].cumulative_csnr_db == math.inf  # before it
    assert after["qk"].csnr_db == math.inf  # its own reads are exact ...
    assert after["qk"].cumulative_csnr_db < 30  # ... on inputs that are not


def test_it_leaves_the_model_as_it_was(small_net: nn.Module, images: Tensor) -> None:
    converted = asim_fx.convert(small_net, asim_fx.load_spec("generic-255x8b", ["engine=torch"]), images[:2])
    converted.reseed(7)
    expected = converted(images)
    probe(converted, source(images), seeds=(0, 1))
    converted.reseed(7)
    assert torch.equal(converted(images), expected)
    assert {site.fidelity for site in converted.sites().values()} == {"hardware"}
    assert not any(site._forward_hooks for site in converted.sites().values())


def test_seeds_add_up(small_net: nn.Module, images: Tensor) -> None:
    converted = asim_fx.convert(small_net, asim_fx.load_spec("generic-255x8b", ["engine=torch"]), images[:2])
    one, both = (probe(converted, source(images), seeds=seeds) for seeds in ((0,), (0, 1)))
    assert [2 * site.values for site in one.sites] == [site.values for site in both.sites]
    assert probe(converted, source(images), seeds=(0,)) == one


def test_nothing_to_probe(small_net: nn.Module, images: Tensor) -> None:
    converted = asim_fx.convert(small_net, asim_fx.load_spec("ideal", ["defaults.target=float"]), images[:2])
    with pytest.raises(UsageError, match="no analog or integer site"):
        probe(converted, source(images))
    converted = asim_fx.convert(small_net, "ideal", images[:2])
    with pytest.raises(DataError, match="no images"):
        probe(converted, source(images[:0]))
