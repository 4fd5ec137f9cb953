"""ASiM's modules on the conformance data, and their three modes against one another."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from asim_fx.compat import ASiMConv2d, ASiMLinear, ASiMMultiheadAttention, simulate_case
from asim_fx.errors import NumericsError, UsageError
from tests.compat.test_case import EXACT, NOISE

BASE = [(case, arrays) for case, arrays in EXACT if case.get("variant", "base") == "base"]
NOISY = [(case, arrays) for case, arrays in NOISE if case.get("variant", "base") == "base"]


def run(case: dict[str, Any], arrays: dict[str, NDArray[Any]], mode: str = "Simulation") -> Tensor:
    """Run a case of the conformance data by the module of its operation."""
    x, w = torch.from_numpy(arrays["x"]).float(), torch.from_numpy(arrays["w"]).float()
    bias, cfg = arrays.get("b"), case["cfg"]
    if case["op"] in ("qk", "av"):
        attention = ASiMMultiheadAttention(x.shape[1] * x.shape[-1], x.shape[1], mode=mode, **cfg)
        return attention.multiply_qk(x, w) if case["op"] == "qk" else attention.multiply_av(x, w)
    layer: nn.Module
    if case["op"] == "conv":
        layer = ASiMConv2d(
            w.shape[1] * case.get("groups", 1),
            w.shape[0],
            w.shape[2:],
            stride=case.get("stride", 1),
            padding=case.get("padding", 0),
            dilation=case.get("dilation", 1),
            groups=case.get("groups", 1),
            bias=bias is not None,
            signed_act=case["signed"],
            mode=mode,
            **cfg,
        )
    else:
        layer = ASiMLinear(w.shape[1], w.shape[0], bias is not None, signed_act=case["signed"], mode=mode, **cfg)
    state = {"weight": w} if bias is None else {"weight": w, "bias": torch.from_numpy(bias).float()}
    layer.load_state_dict(state)
    with torch.no_grad():
        return layer(x)


@pytest.mark.parametrize(("case", "arrays"), BASE, ids=[case["id"] for case, _ in BASE])
def test_exact_cases(case: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
    result, expected = run(case, arrays).numpy(), arrays["y"]
    assert result.shape == expected.shape
    assert np.abs(result - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize(("case", "arrays"), NOISY, ids=[case["id"] for case, _ in NOISY])
def test_noise_cases(case: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
    """z-tests of the mean and of the logarithm of the spread over 400 runs: both within 5 standard errors on average."""
    torch.manual_seed(0)
    copies = {**arrays, "x": np.concatenate([arrays["x"]] * 100)}
    runs = np.concatenate([run(case, copies).double().numpy() for _ in range(4)])
    runs = runs.reshape(-1, arrays["x"].shape[0], *runs.shape[1:])
    moves = arrays["std"] > 0
    mean, spread = runs.mean(0)[moves], runs.std(0, ddof=1)[moves]
    z = (mean - arrays["mean"][moves]) / np.sqrt((spread**2 + arrays["std"][moves] ** 2) / 400)
    z_spread = np.log(spread / arrays["std"][moves]) * 20
    assert abs(z.mean()) < 5 / z.size**0.5
    assert abs(z_spread.mean()) < 5 / z.size**0.5


def test_a_module_draws_anew_and_repeats_after_the_same_seed_of_torch() -> None:
    case, arrays = NOISY[0]
    torch.manual_seed(3)
    first, second = run(case, arrays), run(case, arrays)
    assert not torch.equal(first, second)
    torch.manual_seed(3)
    assert torch.equal(run(case, arrays), first)


def layers() -> list[tuple[nn.Module, nn.Module, Tensor]]:
    """Return each module, the plain one of the same weights, and an input."""
    torch.manual_seed(0)
    conv = ASiMConv2d(6, 8, (3, 1), (2, 1), (1, 0), groups=2, wbit=8, xbit=8, padding_mode="reflect", signed_act=True)
    plain = nn.Conv2d(6, 8, (3, 1), (2, 1), (1, 0), groups=2, padding_mode="reflect")
    linear, plain_linear = ASiMLinear(20, 7, wbit=8, xbit=8), nn.Linear(20, 7)
    attention = ASiMMultiheadAttention(24, 3, proj_xbit=9, scale=8**-0.5)
    plain_attention = SelfAttention(24, 3)
    pairs = [(conv, plain), (linear, plain_linear)]
    for module, reference in pairs:
        reference.load_state_dict(module.state_dict())
    own = attention.state_dict()
    plain_attention.inner.load_state_dict(
        {
            "in_proj_weight": own["qkv.weight"],
            "in_proj_bias": own["qkv.bias"],
            "out_proj.weight": own["proj.weight"],
            "out_proj.bias": own["proj.bias"],
        }
    )
    inputs = [torch.randn(2, 6, 9, 5), torch.randn(3, 20), torch.randn(2, 5, 24)]
    return [(*pair, x) for pair, x in zip([*pairs, (attention, plain_attention)], inputs, strict=True)]


class SelfAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.inner = nn.MultiheadAttention(width, heads, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x, x, x, need_weights=False)[0]


@pytest.mark.parametrize("which", range(3), ids=["conv", "linear", "attention"])
def test_the_modes_compute_the_same_where_nothing_is_lost(which: int) -> None:
    """Eight bits, no noise, 255 rows and an 8-bit converter: all modes agree, and stay near the float layer."""
    module, plain, x = layers()[which]
    results = {}
    for part in module.modules():
        if hasattr(part, "nrow"):
            part.nrow = 255
    for mode in ("Train", "Inference", "Simulation"):
        module.mode = mode
        results[mode] = module(x)
    largest = results["Train"].abs().max()
    assert (results["Inference"] - results["Train"]).abs().max() < 2e-6 * largest
    assert torch.equal(results["Simulation"], results["Inference"])
    assert not torch.equal(results["Train"], plain(x))
    assert (results["Train"] - plain(x)).abs().max() < 0.05 * largest


@pytest.mark.parametrize("which", range(3), ids=["conv", "linear", "attention"])
@pytest.mark.parametrize("mode", ["Train", "Inference", "Simulation"])
def test_gradients_pass_straight_through(which: int, mode: str) -> None:
    """They are those of the float layer, up to the rounding of the operands."""
    module, plain, x = layers()[which]
    module.mode = mode
    for part in module.modules():
        if hasattr(part, "nrow"):
            part.nrow = 255
    gradients = []
    for net in (module, plain):
        leaf = x.clone().requires_grad_()
        torch.manual_seed(1)
        net(leaf).pow(2).sum().backward()
        gradients.append([leaf.grad, *(parameter.grad for parameter in net.parameters())])
    for own, reference in zip(*gradients, strict=True):
        assert F.cosine_similarity(own.flatten(), reference.flatten(), dim=0) > 0.99


def test_trim_noise_has_the_spread_it_is_given() -> None:
    """0.3 of each result; with 20,000 draws its standard error is 0.5 %, and five of them are allowed."""
    torch.manual_seed(0)
    for mode in ("Train", "Inference"):
        layer = ASiMLinear(10, 5, bias=False, wbit=8, xbit=8, mode=mode, trim_noise=30)
        x = torch.randn(1, 10).expand(4000, 10)
        noisy = layer(x)
        layer.trim_noise = 0.0
        ratio = (noisy / layer(x)).detach() - 1
        assert abs(ratio.std() / 0.3 - 1) < 0.025
        assert abs(ratio.mean()) < 5 * 0.3 / 20000**0.5


def test_attention_is_scaled_as_the_published_module_scales_it() -> None:
    default, same = ASiMMultiheadAttention(24, 3), ASiMMultiheadAttention(24, 3, scale=24**-0.5)
    same.load_state_dict(default.state_dict())
    x = torch.randn(2, 5, 24)
    assert torch.equal(default(x), same(x))
    same.scale = 8**-0.5
    assert not torch.equal(default(x), same(x))


def test_digital_cycles_on_request_pass_the_converter() -> None:
    layer = ASiMLinear(30, 4, wbit=5, xbit=5, adc_prec=4, nrow=30, hybrid_levels=99, mode="Simulation")
    coarse = ASiMLinear(30, 4, wbit=5, xbit=5, adc_prec=4, nrow=30, mode="Simulation")
    coarse.load_state_dict(layer.state_dict())
    x = torch.randn(3, 30)
    assert not torch.equal(layer(x), coarse(x))
    layer.digital_cycles = "adc"
    assert torch.equal(layer(x), coarse(x))


def test_they_take_what_the_published_ones_take_in_the_same_order() -> None:
    names = list(inspect.signature(ASiMConv2d).parameters)
    assert names[:9] == list(inspect.signature(nn.Conv2d).parameters)[:9]
    shared = ["wbit", "xbit", "adc_prec", "nrow", "rand_noise_sigma", "non_linear_sigma", "act_enc", "signed_act"]
    assert names[9:21] == [*shared, "hybrid_levels", "mode", "trim_noise", "device"]
    linear = list(inspect.signature(ASiMLinear).parameters)
    assert linear[:15] == [
        "in_features",
        "out_features",
        "bias",
        *shared,
        "layer",
        "hybrid_levels",
        "mode",
        "trim_noise",
    ]


def test_bad_arguments() -> None:
    with pytest.raises(UsageError, match="unknown mode 'train'"):
        ASiMConv2d(1, 1, 1, mode="train")
    with pytest.raises(UsageError, match="multiple"):
        ASiMMultiheadAttention(10, 3)
    with pytest.raises(UsageError, match="unknown layer"):
        ASiMLinear(1, 1, layer="conv")
    layer = ASiMLinear(2, 2)
    layer.mode = "Simulate"
    with pytest.raises(UsageError, match="Simulate"):
        layer(torch.ones(1, 2))
    with pytest.raises(NumericsError, match="ASiMLinear"):
        ASiMLinear(2, 2)(torch.full((1, 2), float("nan")))
    with pytest.raises(UsageError, match="nrow"):
        ASiMLinear(2, 2, nrow=0, mode="Simulation")(torch.ones(1, 2))


def test_a_module_equals_the_operation() -> None:
    layer = ASiMConv2d(4, 3, 3, padding="same", wbit=6, xbit=5, adc_prec=6, nrow=20, act_enc=2, mode="Simulation")
    x = torch.rand(2, 4, 5, 5)
    case = {
        "op": "conv",
        "signed": False,
        "padding": 1,
        "cfg": {"wbit": 6, "xbit": 5, "adc_prec": 6, "nrow": 20, "act_enc": 2},
    }
    expected = simulate_case(case, {"x": x, "w": layer.weight.detach(), "b": layer.bias.detach()})
    assert torch.equal(layer(x), expected)


@pytest.mark.parametrize("mode", ["Train", "Inference", "Simulation"])
@pytest.mark.parametrize("bits", ["8", 8.5, True])
def test_bits_that_are_no_number_are_refused(mode: str, bits: Any) -> None:
    with pytest.raises(UsageError, match="whole number"):
        ASiMLinear(4, 2, xbit=bits, mode=mode)(torch.randn(1, 4))


def test_hybrid_levels_below_zero_are_refused() -> None:
    with pytest.raises(UsageError, match="hybrid_levels is -1"):
        ASiMLinear(4, 2, hybrid_levels=-1, mode="Simulation")(torch.randn(1, 4))


def test_more_hybrid_levels_than_there_are_make_all_digital() -> None:
    torch.manual_seed(0)
    layer, x = (
        ASiMLinear(40, 3, hybrid_levels=99, adc_prec=2, rand_noise_sigma=5, mode="Simulation"),
        torch.randn(2, 40),
    )
    result = layer(x)
    layer.mode = "Inference"
    torch.testing.assert_close(result, layer(x))
