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

from asim_fx.compat import ASiMConv2d, ASiMLinear, ASiMMultiheadAttention, QuantConv2d, simulate_case
from asim_fx.errors import InputError, NumericsError, UsageError
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
    with pytest.raises(UsageError, match="unknown mode 'Simulation'"):
        QuantConv2d(1, 1, 1, mode="Simulation")
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


MODES = ["Train", "Inference", "Simulation"]
WRONG: list[tuple[str, Any, str]] = [
    ("wbit", 1, "wbit is 1, and a signed operand needs at least 2 bits"),
    ("wbit", 17, "wbit is 17, and must be from 1 to 16"),
    ("wbit", 4.0, "wbit is 4.0, and must be a whole number"),
    ("wbit", None, "wbit is None, and must be a whole number"),
    ("xbit", 0, "xbit is 0, and must be from 1 to 16"),
    ("adc_prec", 0, "adc_prec is 0"),
    ("adc_prec", 25, "adc_prec is 25"),
    ("nrow", 0, "nrow is 0, and must be at least 1"),
    ("act_enc", 0, "act_enc is 0"),
    ("act_enc", 9, "act_enc is 9, and must be at most"),
    ("hybrid_levels", -1, "hybrid_levels is -1"),
    ("rand_noise_sigma", -1, "rand_noise_sigma is -1, and must be a finite number of 0 or more"),
    ("rand_noise_sigma", float("nan"), "rand_noise_sigma is nan"),
    ("non_linear_sigma", float("inf"), "non_linear_sigma is inf"),
    ("non_linear_sigma", "x", "non_linear_sigma is 'x'"),
    ("trim_noise", -1.0, "trim_noise is -1.0"),
    ("trim_noise", float("nan"), "trim_noise is nan"),
    ("digital_cycles", "nonsense", "digital_cycles is 'nonsense'"),
    ("signed_act", "no", "signed_act is 'no', and must be True or False"),
    ("voting_levels", 1.5, "voting_levels is 1.5"),
    ("num_samp", 0, "num_samp is 0"),
]


@pytest.mark.parametrize(("name", "value", "words"), WRONG)
@pytest.mark.parametrize("mode", MODES)
def test_arguments_that_mean_nothing_are_refused_at_once_and_later(
    name: str, value: Any, words: str, mode: str
) -> None:
    ASiMLinear(4, 2, wbit=4, xbit=4, mode=mode)(torch.rand(1, 4))  # so that 4.0 could be taken for what was computed
    for make, x in (
        (lambda **given: ASiMLinear(4, 2, mode=mode, **given), torch.rand(1, 4)),
        (lambda **given: ASiMConv2d(4, 2, 1, mode=mode, **given), torch.rand(1, 4, 3, 3)),
    ):
        with pytest.raises(UsageError) as error:
            make(**{name: value})
        assert words in str(error.value)
        layer = make()
        setattr(layer, name, value)
        with pytest.raises(UsageError) as error:
            layer(x)
        assert words in str(error.value)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("qk_k_enc", 8, "qk_k_enc is 8, and must be at most 7: qk_kbit is 8, of which one is the sign"),
        ("av_a_enc", 9, "av_a_enc is 9, and must be at most 8: av_abit is 8"),
        ("proj_act_enc", 8, "act_enc is 8"),
        ("qk_qbit", 1, "qk_qbit is 1"),
        ("av_rand_noise_sigma", -1, "av_rand_noise_sigma is -1"),
        ("hybrid_levels", 1.0, "hybrid_levels is 1.0"),
        ("num_heads", 5, "embed_dim 24 is not a multiple of num_heads 5"),
        ("num_heads", 0, "num_heads is 0"),
        ("attn_trim_noise", -1, "attn_trim_noise is -"),
        ("scale", float("nan"), "scale is nan"),
    ],
)
def test_the_same_of_attention(name: str, value: Any, words: str) -> None:
    with pytest.raises(UsageError) as error:
        ASiMMultiheadAttention(**{"embed_dim": 24, "num_heads": 3, name: value})
    assert words in str(error.value)
    attention = ASiMMultiheadAttention(24, 3)
    setattr(attention, name, value)
    with pytest.raises(UsageError) as error:
        attention(torch.randn(1, 4, 24))
    assert words in str(error.value)


def test_dropout_is_a_share_and_may_change() -> None:
    attention = ASiMMultiheadAttention(24, 3, dropout=0.5)
    attention.dropout = 0.25
    assert attention.dropout == attention.dropout_layer.p == 0.25
    with pytest.raises(UsageError, match=r"dropout is 2\.0"):
        attention.dropout = 2
    with pytest.raises(UsageError, match="dropout is -1"):
        ASiMMultiheadAttention(24, 3, dropout=-1)


CHANGES: list[dict[str, Any]] = [
    {"padding": 1},
    {"padding": (0, 2)},
    {"padding": "same"},
    {"padding": (2, 1), "padding_mode": "reflect"},
    {"stride": 2},
    {"dilation": (1, 2)},
    {"wbit": 3, "xbit": 5, "act_enc": 2, "nrow": 9, "adc_prec": 5, "hybrid_levels": 2},
    {"signed_act": True, "digital_cycles": "adc", "hybrid_levels": 3, "adc_prec": 3},
    {"rand_noise_sigma": 2.0, "voting_levels": 4, "num_samp": 3},
    {"non_linear_sigma": 2.0, "trim_noise": 10.0},
]


@pytest.mark.parametrize("changes", CHANGES)
@pytest.mark.parametrize("mode", MODES)
def test_what_is_changed_later_is_as_if_it_had_been_given(changes: dict[str, Any], mode: str) -> None:
    given = ASiMConv2d(4, 3, 3, mode=mode, **changes)
    changed, x = ASiMConv2d(4, 3, 3), torch.randn(2, 4, 7, 8)
    changed.load_state_dict(given.state_dict())
    for name, value in {**changes, "mode": mode}.items():
        setattr(changed, name, value / 100 if name == "trim_noise" else value)
    torch.manual_seed(1)
    expected = given(x)
    torch.manual_seed(1)
    assert torch.equal(changed(x), expected)


@pytest.mark.parametrize(
    "changes",
    [
        {"nrow": 9},
        {"hybrid_levels": 3},
        {"hybrid_levels": 6, "digital_cycles": "adc", "nrow": 9},
        {"proj_wbit": 3, "proj_xbit": 4, "proj_act_enc": 2},
        {"proj_adc_prec": 4},
        {"proj_rand_noise_sigma": 3.0},
        {"proj_non_linear_sigma": 3.0},
        {"qk_qbit": 3, "qk_k_enc": 2, "av_vbit": 3, "av_a_enc": 3},
        {"qk_rand_noise_sigma": 3.0, "voting_levels": 4, "num_samp": 3},
        {"num_heads": 6},
    ],
)
def test_the_same_of_attention_and_its_projections(changes: dict[str, Any]) -> None:
    given = ASiMMultiheadAttention(**{"embed_dim": 24, "num_heads": 3, "mode": "Simulation", **changes})
    changed, x = ASiMMultiheadAttention(24, 3), torch.randn(2, 5, 24)
    changed.load_state_dict(given.state_dict())
    before = ASiMMultiheadAttention(24, 3, mode="Simulation")
    before.load_state_dict(given.state_dict())
    for name, value in {**changes, "mode": "Simulation"}.items():
        setattr(changed, name, value)
        assert getattr(changed, name) == value
    results = []
    for module in (given, changed, before):
        torch.manual_seed(1)
        results.append(module(x))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


@pytest.mark.parametrize(
    ("make", "name", "value", "hint"),
    [
        (lambda: ASiMConv2d(4, 3, 3), "boundary_levels", 3, "hybrid_levels"),
        (lambda: ASiMLinear(4, 3), "enc_bit", 2, "act_enc"),
        (lambda: ASiMMultiheadAttention(24, 3), "boundary_levels", 3, "hybrid_levels"),
        (lambda: ASiMConv2d(4, 3, 3), "in_channels", 8, "new module"),
        (lambda: QuantConv2d(4, 3, 3), "kernel_size", (5, 5), "new module"),
        (lambda: ASiMLinear(4, 3), "out_features", 5, "new module"),
    ],
)
def test_an_attribute_without_effect_cannot_be_assigned(make: Any, name: str, value: Any, hint: str) -> None:
    module = make()
    with pytest.raises(UsageError) as error:
        setattr(module, name, value)
    assert name in str(error.value)
    assert hint in error.value.hint


@pytest.mark.parametrize("mode", MODES)
def test_shapes_that_do_not_fit_are_refused(mode: str) -> None:
    conv, linear, attention = (
        ASiMConv2d(8, 4, 3, mode=mode),
        ASiMLinear(8, 4, mode=mode),
        ASiMMultiheadAttention(24, 3, mode=mode),
    )
    for module, shape in (
        (conv, (2, 16, 6, 6)),
        (conv, (2, 4, 6, 6)),
        (conv, (1, 8, 3, 3, 3)),
        (conv, (8, 3)),
        (conv, (1, 8, 2, 2)),
        (linear, (8, 7)),
        (linear, (4, 16)),
        (attention, (2, 4, 12)),
        (attention, (4, 24)),
    ):
        with pytest.raises(InputError):
            module(torch.rand(shape))
    with pytest.raises(InputError, match="inner dimensions"):
        attention.multiply_qk(torch.rand(1, 3, 5, 6), torch.rand(1, 3, 3, 5))
    with pytest.raises(InputError, match="inner dimensions"):
        attention.multiply_av(torch.rand(1, 3, 5, 3), torch.rand(1, 3, 6, 5))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("padding", [{}, {"padding": 1, "padding_mode": "circular"}])
def test_an_image_without_a_batch(mode: str, padding: dict[str, Any]) -> None:
    conv, image = ASiMConv2d(4, 3, 3, mode=mode, **padding), torch.rand(4, 6, 7)
    assert torch.equal(conv(image), conv(image[None])[0])


def test_a_compiled_module_computes_the_same_and_names_its_error() -> None:
    conv, x = ASiMConv2d(4, 3, 3, mode="Simulation"), torch.rand(2, 4, 6, 6)
    compiled = torch.compile(conv, backend="eager")
    assert torch.equal(compiled(x), conv(x))
    with pytest.raises(InputError, match="4 input channels"):
        compiled(torch.rand(2, 5, 6, 6))


def test_votes_steady_what_noise_moves() -> None:
    torch.manual_seed(0)
    once = ASiMLinear(60, 8, wbit=6, xbit=6, rand_noise_sigma=1.0, mode="Simulation")
    x = torch.randn(40, 60)
    once.rand_noise_sigma = 0.0
    exact = once(x)
    once.rand_noise_sigma = 1.0
    error = (once(x) - exact).std()
    once.voting_levels, once.num_samp = 20, 15
    assert (once(x) - exact).std() < 0.8 * error
