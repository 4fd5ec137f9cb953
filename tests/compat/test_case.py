"""The conformance data, and ASiM's argument names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from asim_fx.compat import simulate_case
from asim_fx.errors import NumericsError, UsageError

DATA = Path(__file__).parents[1] / "conformance"
RUNS = 400


def load(kind: str) -> list[tuple[dict[str, Any], dict[str, NDArray[Any]]]]:
    stored = np.load(DATA / f"{kind}.npz")
    arrays = {name: stored[name] for name in stored.files}
    cases = json.loads((DATA / f"{kind}.json").read_text())
    return [
        (case, {name[3:]: array for name, array in arrays.items() if name.startswith(f"{case['id']}_")})
        for case in cases
    ]


EXACT, NOISE = load("exact"), load("noise")


@pytest.mark.parametrize(("case", "arrays"), EXACT, ids=[case["id"] for case, _ in EXACT])
def test_exact_cases(case: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
    result = simulate_case(case, arrays).numpy()
    expected = arrays["y"]
    assert result.shape == expected.shape
    assert np.abs(result - expected).max() <= 1e-5 * np.abs(expected).max()


def many_runs(case: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
    """Run a case 400 times: 4 seeds of 100 copies along the batch, which draw apart because they are other samples.

    The scale is that of the largest magnitude, which copies do not change.
    """
    copies = {**arrays, "x": np.concatenate([arrays["x"]] * (RUNS // 4))}
    batch = arrays["x"].shape[0]
    runs = [simulate_case(case, copies, seed=seed).double().numpy() for seed in range(4)]
    return np.concatenate([run.reshape(-1, batch, *run.shape[1:]) for run in runs])


@pytest.mark.parametrize(("case", "arrays"), NOISE, ids=[case["id"] for case, _ in NOISE])
def test_noise_cases(case: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
    """z-tests of mean and spread at each element: |mean z| within 4 standard errors, RMS < 1.15, largest < 6."""
    runs = many_runs(case, arrays)
    mean, spread = runs.mean(0), runs.std(0, ddof=1)
    expected_mean, expected_spread = arrays["mean"], arrays["std"]
    still = expected_spread == 0
    assert np.abs((mean - expected_mean)[still]).max(initial=0) <= 1e-5 * np.abs(expected_mean).max()
    mean, spread = mean[~still], spread[~still]
    expected_mean, expected_spread = expected_mean[~still], expected_spread[~still]
    z = (mean - expected_mean) / np.sqrt(spread**2 / RUNS + expected_spread**2 / RUNS)
    assert abs(z.mean()) < 4 / z.size**0.5
    assert (z**2).mean() ** 0.5 < 1.15
    assert np.abs(z).max() < 6
    z_spread = np.log(spread / expected_spread) / np.sqrt(1 / RUNS)
    assert abs(z_spread.mean()) < 4 / z_spread.size**0.5
    assert np.abs(z_spread).max() < 6


def test_a_seed_repeats_and_another_does_not() -> None:
    case, arrays = NOISE[0]
    first = simulate_case(case, arrays, seed=1)
    assert torch.equal(simulate_case(case, arrays, seed=1), first)
    assert not torch.equal(simulate_case(case, arrays, seed=2), first)


def example(op: str) -> tuple[dict[str, Any], dict[str, torch.Tensor], dict[str, Any]]:
    generator = torch.Generator().manual_seed(0)
    shapes = {
        "conv": ((2, 8, 5, 5), (4, 8, 3, 3)),
        "linear": ((3, 50), (6, 50)),
        "qk": ((2, 3, 7, 20), (2, 3, 20, 7)),
        "av": ((2, 3, 7, 30), (2, 3, 30, 8)),
        "matmul": ((2, 7, 30), (2, 30, 8)),
    }[op]
    arrays = {"x": torch.rand(shapes[0], generator=generator), "w": torch.randn(shapes[1], generator=generator)}
    cfg = {
        "qk": {"qk_qbit": 5, "qk_kbit": 5, "qk_adc_prec": 6},
        "av": {"av_abit": 5, "av_vbit": 5, "av_adc_prec": 6},
    }.get(op, {"wbit": 5, "xbit": 5, "adc_prec": 6})
    return {"op": op, "signed": False, "padding": 1}, arrays, {**cfg, "nrow": 36}


EXTRAS: dict[str, list[dict[str, Any]]] = {
    "base": [{}, {"rand_noise_sigma": 0.5}, {"hybrid_levels": 3}, {"non_linear_sigma": 1.0, "hybrid_levels": 2}],
    "current": [
        {"non_linear_alpha": 0.001},
        {"non_linear_alpha": 0.001, "weight_var": 2.0, "rand_noise_sigma": 0.2},
        {"weight_var": 2.0, "hybrid_levels": 2, "voting_levels": 3, "num_samp": 3},
    ],
    "weight_parallel": [{}, {"rand_noise_sigma": 0.5}, {"rand_noise_sigma": 0.5, "voting_levels": 1, "num_samp": 3}],
    "vote": [
        {"voting_levels": 4, "num_samp": 5, "rand_noise_sigma": 0.5},
        {"voting_levels": 4, "num_samp": 4, "rand_noise_sigma": 0.5, "hybrid_levels": 2, "voting_how": "median"},
        {"voting_levels": 9, "num_samp": 3, "rand_noise_sigma": 0.5, "voting_how": "mean"},
    ],
}


@pytest.mark.parametrize("op", ["conv", "linear", "qk", "av", "matmul"])
@pytest.mark.parametrize("variant", EXTRAS)
@pytest.mark.parametrize("encoding", [1, 3])
@pytest.mark.parametrize("signed", [False, True])
def test_any_op_takes_any_variant(op: str, variant: str, encoding: int, signed: bool) -> None:
    """Results stay near the float product: 6-bit codes of a full scale that small tiles hardly use."""
    case, arrays, cfg = example(op)
    x, w = arrays["x"], arrays["w"]
    float_result = torch.nn.functional.conv2d(x, w, padding=1) if op == "conv" else x @ w.T if op == "linear" else x @ w
    for extra in EXTRAS[variant]:
        whole = {**case, "variant": variant, "signed": signed, "cfg": {**cfg, **extra, "act_enc": encoding}}
        result = simulate_case(whole, arrays)
        assert result.shape == float_result.shape
        similarity = torch.nn.functional.cosine_similarity(result.flatten(), float_result.flatten(), dim=0)
        assert similarity > 0.5


def test_names_with_and_without_prefix() -> None:
    case, arrays, cfg = example("qk")
    plain = {"wbit": 5, "xbit": 5, "adc_prec": 6, "nrow": 36, "act_enc": 2}
    one = simulate_case({**case, "cfg": {**cfg, "qk_k_enc": 2}}, arrays)
    assert torch.equal(one, simulate_case({**case, "cfg": plain}, arrays))


def test_digital_cycles_that_pass_the_converter() -> None:
    """All cycles digital and a coarse converter: exact by default, the published simulator's lossy codes on request."""
    case, arrays, cfg = example("linear")
    digital = {**case, "cfg": {**cfg, "hybrid_levels": 9, "adc_prec": 4, "rand_noise_sigma": 5.0}}
    read = {**case, "cfg": {**cfg, "adc_prec": 4}}
    ideal = {**case, "cfg": {**cfg, "adc_prec": None}}
    assert torch.equal(simulate_case(digital, arrays), simulate_case(ideal, arrays))
    assert torch.equal(simulate_case(digital, arrays, digital_cycles="adc"), simulate_case(read, arrays))
    assert not torch.equal(simulate_case(read, arrays), simulate_case(ideal, arrays))


def test_cells_vary_in_the_current_domain() -> None:
    case, arrays, cfg = example("linear")
    varied = {**case, "variant": "current", "cfg": {**cfg, "weight_var": 5.0}}
    assert not torch.equal(simulate_case(varied, arrays, seed=1), simulate_case(varied, arrays, seed=2))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"op": "pool"}, ["pool", "conv"]),
        ({"variant": "magic"}, ["magic", "base"]),
        ({"cfg": {"wbits": 8}}, ["wbits", "wbit"]),
        ({"cfg": {"wbit": 8}}, ["xbit", "nrow"]),
        ({"cfg": {"wbit": 8, "xbit": 8, "nrow": 0}}, ["nrow", "0"]),
        ({"cfg": {"wbit": 8, "xbit": 8, "nrow": 9, "adc_prec": 0}}, ["adc_prec"]),
        ({"cfg": {"wbit": 1, "xbit": 8, "nrow": 9}}, ["wbit", "2 bits"]),
        (
            {"cfg": {"wbit": 8, "xbit": 8, "nrow": 9, "hybrid_levels": 3, "voting_levels": 3}},
            ["voting_levels", "hybrid_levels"],
        ),
        (
            {"variant": "current", "cfg": {"wbit": 8, "xbit": 8, "nrow": 9, "non_linear_sigma": 1.0}},
            ["non_linear_sigma", "current"],
        ),
        (
            {"variant": "weight_parallel", "cfg": {"wbit": 8, "xbit": 8, "nrow": 9, "hybrid_levels": 1}},
            ["hybrid_levels"],
        ),
        (
            {"variant": "weight_parallel", "cfg": {"wbit": 8, "xbit": 8, "nrow": 9, "adc_prec": 1}},
            ["adc.bits", "parallel"],
        ),
    ],
)
def test_bad_cases(change: dict[str, Any], words: list[str]) -> None:
    case, arrays, cfg = example("linear")
    with pytest.raises(UsageError) as error:
        simulate_case({**case, "cfg": cfg, **change}, arrays)
    assert all(word in f"{error.value} {error.value.hint}" for word in words)


def test_nan_is_refused() -> None:
    case, arrays, cfg = example("linear")
    with pytest.raises(NumericsError):
        simulate_case({**case, "cfg": cfg}, {**arrays, "x": arrays["x"] * float("nan")})
