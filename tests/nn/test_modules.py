from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import asim_fx
from asim_fx.errors import NumericsError, UsageError
from asim_fx.ir import BatchLayout, BitPlan, ConvGeometry
from asim_fx.nn import CimConv, CimConvTranspose, CimLinear, CimMatmul, CimModule
from asim_fx.nn.module import exact_reads
from asim_fx.ops.config import OpConfig, Operand, ReadEffects
from tests.ops.configs import fake_quantized, make_config

RNG = torch.tensor([1, 0])
GEOMETRY = ConvGeometry(kernel=(3, 3), stride=(2, 1), padding=((1, 0), (0, 2)), dilation=(1, 1))


class Site(nn.Module):
    """A simulated module where it lives: beside its weights, called with them."""

    def __init__(self, cim: CimModule, weight: Tensor, bias: Tensor | None = None) -> None:
        super().__init__()
        self.cim = cim
        self.weight = nn.Parameter(weight)
        self.bias = None if bias is None else nn.Parameter(bias)
        self.register_buffer("rng", RNG.clone())

    def forward(self, x: Tensor) -> Tensor:
        if isinstance(self.cim, CimMatmul):
            return self.cim(x, self.weight, self.rng)
        return self.cim(x, self.weight, self.bias, self.rng)


def observed(site: CimModule, run: Callable[[], Tensor]) -> Tensor:
    """Run a site in float, set its scales to the largest magnitudes that it meets, and return what it computes."""
    seen: list[tuple[Tensor, Tensor]] = []
    site.observer = lambda streamed, stored, _clip: seen.append((streamed, stored))
    site.fidelity = "float"
    result = run()
    site.observer, site.fidelity = None, "hardware"
    scales = site.input_scale, getattr(site, "weight_scale", None)
    for scale, met in zip(scales, zip(*seen, strict=True), strict=True):
        if scale is not None:
            scale.fill_(max(value.abs().max() for value in met) + 1e-7)
    return result


def noisy(layout: int, **more: object) -> OpConfig:
    return make_config(
        rows=36,
        signed=True,
        adc_bits=5,
        random_percent_fs=1.0,
        layout=BatchLayout(layout, layout),
        **more,  # type: ignore[arg-type]
    )


def conv_site(**more: object) -> tuple[Site, Tensor]:
    generator = torch.Generator().manual_seed(0)
    weight, bias = torch.randn(6, 2, 3, 3, generator=generator), torch.randn(6, generator=generator)
    site = Site(CimConv(noisy(6 * 3 * 7, **more), GEOMETRY, groups=2), weight, bias)
    return site, torch.randn(2, 4, 6, 7, generator=generator)


def conv_transpose_site(**more: object) -> tuple[Site, Tensor]:
    generator = torch.Generator().manual_seed(0)
    weight, bias = torch.randn(4, 3, 3, 2, generator=generator), torch.randn(6, generator=generator)
    geometry = ConvGeometry((3, 2), (2, 1), ((1, 1), (0, 0)), (1, 1), output_padding=(1, 0))
    site = Site(CimConvTranspose(noisy(6 * 12 * 8, **more), geometry, groups=2), weight, bias)
    return site, torch.randn(2, 4, 6, 7, generator=generator)


def linear_site(**more: object) -> tuple[Site, Tensor]:
    generator = torch.Generator().manual_seed(0)
    weight, bias = torch.randn(5, 40, generator=generator), torch.randn(5, generator=generator)
    return Site(CimLinear(noisy(15, **more)), weight, bias), torch.randn(2, 3, 40, generator=generator)


def matmul_site(**more: object) -> tuple[Site, Tensor]:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(3, 40, 4, generator=generator)
    return Site(CimMatmul(noisy(3 * 20, **more)), weight), torch.randn(2, 3, 5, 40, generator=generator)


SITES = [conv_site, conv_transpose_site, linear_site, matmul_site]
Maker = Callable[..., tuple[Site, Tensor]]


@pytest.mark.parametrize("make", SITES)
def test_deepcopy_compile_and_export_give_the_same_bits(make: Maker) -> None:
    site, x = make()
    expected = site(x)
    assert torch.equal(copy.deepcopy(site)(x), expected)
    assert torch.equal(torch.compile(site, fullgraph=True, backend="aot_eager")(x), expected)
    batch = torch.export.Dim("batch", min=1, max=64)
    exported = torch.export.export(site, (x,), dynamic_shapes=({0: batch},)).module()
    assert torch.equal(exported(x), expected)
    larger = torch.cat([x, x[:1]])
    assert torch.equal(exported(larger), site(larger))


def test_gradients_survive_compilation() -> None:
    site, x = linear_site()
    compiled = torch.compile(site, fullgraph=True, backend="aot_eager")
    site(x).square().sum().backward()
    expected, site.weight.grad = site.weight.grad, None
    compiled(x).square().sum().backward()
    assert site.weight.grad is not None
    assert expected is not None
    torch.testing.assert_close(site.weight.grad, expected)


@pytest.mark.parametrize("make", SITES)
def test_float_is_the_torch_operation(make: Maker) -> None:
    site, x = make()
    site.cim.fidelity = "float"
    w, b = site.weight, site.bias
    expected = {
        CimConv: lambda: F.conv2d(F.pad(x, [0, 2, 1, 0]), w, b, (2, 1), 0, 1, 2),
        CimConvTranspose: lambda: F.conv_transpose2d(x, w, b, (2, 1), (1, 0), (1, 0), 2),
        CimLinear: lambda: F.linear(x, w, b),
        CimMatmul: lambda: x @ w,
    }[type(site.cim)]()
    assert torch.equal(site(x), expected)


@pytest.mark.parametrize("make", SITES)
def test_integer_is_exact_at_the_same_codes(make: Maker) -> None:
    site, x = make()
    noisy_result = site(x)
    site.cim.fidelity = "integer"
    operand = Operand(4, True)
    xq, wq = fake_quantized(x, operand), fake_quantized(site.weight, operand)
    b = None if site.bias is None else site.bias.double()
    expected = {
        CimConv: lambda: F.conv2d(F.pad(xq, [0, 2, 1, 0]), wq, b, (2, 1), 0, 1, 2),
        CimConvTranspose: lambda: F.conv_transpose2d(xq, wq, b, (2, 1), (1, 0), (1, 0), 2),
        CimLinear: lambda: F.linear(xq, wq, b),
        CimMatmul: lambda: xq @ wq,
    }[type(site.cim)]()
    torch.testing.assert_close(site(x).double(), expected, rtol=1e-5, atol=1e-5)
    assert not torch.equal(noisy_result, site(x))


def test_integer_of_a_parallel_read() -> None:
    plan = BitPlan.analog(1, (4,))
    config = OpConfig("p", Operand(4, False), Operand(4, True), plan, 10, ReadEffects(10, 3, parallel=True))
    module, x, w = CimLinear(config), torch.rand(3, 20), torch.randn(4, 20)
    lossy = module(x, w, None, RNG)
    module.fidelity = "integer"
    expected = fake_quantized(x, config.input) @ fake_quantized(w, config.weight).T
    torch.testing.assert_close(module(x, w, None, RNG).double(), expected, rtol=1e-5, atol=1e-5)
    assert (lossy - expected).abs().max() > 1e-3


def test_unknown_fidelity() -> None:
    site, _ = linear_site()
    with pytest.raises(UsageError, match="exact"):
        site.cim.fidelity = "exact"  # type: ignore[assignment]


@pytest.mark.parametrize("make", [conv_site, linear_site])
def test_the_observer_sees_what_a_static_scale_needs(make: Maker) -> None:
    site, x = make(scale="static")
    with pytest.raises(NumericsError, match="site site has no calibrated scale"):
        site(x)
    in_float = observed(site.cim, lambda: [site(0.5 * x), site(x)][1])
    assert site.cim.input_scale is not None
    assert float(site.cim.input_scale) == pytest.approx(float(x.abs().max()))
    dynamic, _ = make()
    assert torch.equal(site(x), dynamic(x))
    site.cim.fidelity = "float"
    assert torch.equal(site(x), in_float)


def test_a_matmul_by_a_constant_calibrates_the_streamed_operand() -> None:
    site, x = matmul_site(scale="static")
    observed(site.cim, lambda: site(x))
    assert list(site.cim.state_dict()) == ["input_scale"]
    assert torch.equal(site(x), matmul_site()[0](x))


def test_matmul_calibrates_both_operands() -> None:
    base = make_config(signed=True, scale="static")
    config = OpConfig("qk", base.input, Operand(4, True, "static"), base.plan, base.step, base.read)
    module = CimMatmul(config, stored_first=True)
    a, b = torch.randn(2, 5, 30) * 3, torch.randn(2, 30, 4)
    with pytest.raises(NumericsError, match="site qk has no calibrated scale"):
        module(a, b, RNG)
    assert torch.equal(observed(module, lambda: module(a, b, RNG)), a @ b)
    assert float(module.input_scale) == pytest.approx(float(b.abs().max()))  # K is streamed
    assert float(module.weight_scale) == pytest.approx(float(a.abs().max()))
    expected = fake_quantized(a, config.weight) @ fake_quantized(b, config.input)
    torch.testing.assert_close(module(a, b, RNG).double(), expected, rtol=1e-5, atol=1e-5)


def test_state_holds_scales_only_where_they_are_static() -> None:
    assert not linear_site()[0].cim.state_dict()
    static, x = linear_site(scale="static")
    assert list(static.cim.state_dict()) == ["input_scale"]
    observed(static.cim, lambda: static(x))
    other, _ = linear_site(scale="static")
    other.load_state_dict(static.state_dict())
    assert torch.equal(other(x), static(x))


def test_repr_says_what_is_simulated() -> None:
    text = repr(conv_site()[0].cim)
    for part in ("site", "4 bits signed", "rows=36", "adc=5", "groups=2", "fidelity=hardware"):
        assert part in text


def test_unsupported_dimensions() -> None:
    with pytest.raises(UsageError, match="4 spatial dimensions"):
        CimConv(noisy(1), ConvGeometry((1,) * 4, (1,) * 4, ((0, 0),) * 4, (1,) * 4), 1)


@pytest.mark.parametrize(
    ("spec", "words", "exact"),
    [
        ("ideal", (), True),
        ("ideal", ("macros.m.noise.random_percent_fs=0.1",), False),
        ("ideal", ("macros.m.adc.bits=4",), False),
        ("generic-255x8b", ("defaults.target=integer",), True),
    ],
)
def test_reads_are_exact_where_hardware_and_integers_are_the_same(
    small_net: nn.Module, images: Tensor, spec: str, words: tuple[str, ...], exact: bool
) -> None:
    converted = asim_fx.convert(small_net, asim_fx.load_spec(spec, words), images).eval()
    assert all(map(exact_reads, converted.sites().values())) == exact
    hardware = converted(images)
    converted.set_fidelity("integer")
    assert torch.equal(converted(images), hardware) == exact
