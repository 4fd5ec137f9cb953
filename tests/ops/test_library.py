from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F

import asim_fx.ops.library  # noqa: F401 (registers torch.ops.asim)
from asim_fx.errors import InputError, NumericsError
from asim_fx.ir import BatchLayout
from asim_fx.ops.config import Operand
from tests.ops.configs import fake_quantized, make_config

RNG = torch.tensor([3, 10])
NOISY = make_config(rows=27, signed=True, adc_bits=4, random_percent_fs=2.0, layout=BatchLayout(1, 4)).dumps()
GEOMETRY = ([1, 2], [1, 0, 0, 2], [1, 1], 2)


def conv_operands() -> tuple[Tensor, Tensor]:
    return torch.randn(2, 4, 6, 7, requires_grad=True), torch.randn(6, 2, 3, 3, requires_grad=True)


def calls() -> dict[str, tuple[object, tuple[object, ...]]]:
    x, w = conv_operands()
    a, b = torch.randn(2, 1, 5, 9, requires_grad=True), torch.randn(3, 9, 4, requires_grad=True)
    rows, weight = torch.randn(2, 3, 9, requires_grad=True), torch.randn(4, 9, requires_grad=True)
    return {
        "conv": (torch.ops.asim.conv.default, (x, w, RNG, None, NOISY, *GEOMETRY)),
        "linear": (torch.ops.asim.linear.default, (rows, weight, RNG, None, NOISY)),
        "qk": (torch.ops.asim.matmul.default, (a, b, RNG, None, NOISY, True)),
        "av": (torch.ops.asim.matmul.default, (a, b, RNG, None, NOISY, False)),
    }


@pytest.mark.parametrize("name", ["conv", "linear", "qk", "av"])
def test_opcheck(name: str) -> None:
    op, arguments = calls()[name]
    torch.library.opcheck(op, arguments)


@pytest.mark.parametrize("name", ["conv", "linear", "qk", "av"])
def test_repeats_and_is_noisy(name: str) -> None:
    op, arguments = calls()[name]
    first = op(*arguments)
    assert torch.equal(op(*arguments), first)
    other = [torch.tensor([4, 10]) if argument is RNG else argument for argument in arguments]
    assert not torch.equal(op(*other), first)


def straight_through(value: Tensor, operand: Operand, scale: float | None = None) -> Tensor:
    """Fake quantisation whose gradient is one, or zero where a static scale clips."""
    if scale is None:
        return value + (fake_quantized(value, operand).float() - value).detach()
    low = -scale if operand.signed else 0.0
    kept = value.clamp(low, scale)
    rounded = torch.round(kept / scale * operand.levels) * scale / operand.levels
    return kept + (rounded - kept).detach()


def gradients(result: Tensor, *operands: Tensor) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return list(torch.autograd.grad(result, operands, torch.randn(result.shape, generator=generator)))


def assert_same(result: list[Tensor], expected: list[Tensor]) -> None:
    for one, other in zip(result, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_conv_gradients_are_straight_through() -> None:
    x, w = conv_operands()
    operand = Operand(4, True)
    padded = F.pad(straight_through(x, operand), [0, 2, 1, 0])
    expected = F.conv2d(padded, straight_through(w, operand), None, (1, 2), 0, (1, 1), 2)
    result = torch.ops.asim.conv(x, w, RNG, None, NOISY, *GEOMETRY)
    assert_same(gradients(result, x, w), gradients(expected, x, w))


def test_linear_gradients_are_straight_through() -> None:
    _, (x, w, *_) = calls()["linear"]
    operand = Operand(4, True)
    expected = F.linear(straight_through(x, operand), straight_through(w, operand))
    assert_same(gradients(torch.ops.asim.linear(x, w, RNG, None, NOISY), x, w), gradients(expected, x, w))


@pytest.mark.parametrize("name", ["qk", "av"])
def test_matmul_gradients_are_straight_through(name: str) -> None:
    op, arguments = calls()[name]
    a, b = arguments[:2]
    operand = Operand(4, True)
    expected = straight_through(a, operand) @ straight_through(b, operand)
    assert_same(gradients(op(*arguments), a, b), gradients(expected, a, b))


@pytest.mark.parametrize("signed", [True, False])
def test_a_static_scale_stops_the_gradient_where_it_clips(signed: bool) -> None:
    x, w = torch.randn(5, 9, requires_grad=True), torch.randn(4, 9, requires_grad=True)
    config = make_config(signed=signed, scale="static").dumps()
    result = torch.ops.asim.linear(x, w, RNG, torch.tensor(0.8), config)
    expected = F.linear(straight_through(x, Operand(4, signed), 0.8), straight_through(w, Operand(4, True)))
    of_x, of_w = gradients(result, x, w)
    assert_same([of_x, of_w], gradients(expected, x, w))
    assert (of_x == 0).sum() == ((x.abs() > 0.8) if signed else (x > 0.8) | (x < 0)).sum()


def test_autocast_stays_outside() -> None:
    x, w = torch.randn(3, 40), torch.randn(5, 40)
    config = make_config(rows=20, input_bits=8, weight_bits=8, signed=True).dumps()
    plain = torch.ops.asim.linear(x, w, RNG, None, config)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = torch.ops.asim.linear(x, w, RNG, None, config)
    assert torch.equal(plain, inside)


def test_errors_come_through() -> None:
    with pytest.raises(NumericsError, match="site"):
        torch.ops.asim.linear(torch.full((1, 9), float("nan")), torch.ones(2, 9), RNG, None, NOISY)


def misfits() -> dict[str, tuple[object, tuple[object, ...]]]:
    """Return calls whose operands do not fit one another."""
    ones = torch.ones
    conv, transposed = torch.ops.asim.conv.default, torch.ops.asim.conv_transpose.default
    linear, matmul = torch.ops.asim.linear.default, torch.ops.asim.matmul.default
    plain, backward = ([1, 1], [0, 0, 0, 0], [1, 1], 1), ([1, 1], [0, 0], [1, 1], [0, 0], 1)
    rest = (RNG, None, NOISY)
    return {
        "conv, more channels": (conv, (ones(2, 16, 6, 6), ones(4, 8, 3, 3), *rest, *plain)),
        "conv, fewer channels": (conv, (ones(2, 4, 6, 6), ones(4, 8, 3, 3), *rest, *plain)),
        "conv, 5 dimensions": (conv, (ones(1, 8, 3, 3, 3), ones(4, 8, 3, 3), *rest, *plain)),
        "conv, 3 dimensions": (conv, (ones(8, 6, 6), ones(4, 8, 3, 3), *rest, *plain)),
        "conv, groups": (conv, (ones(2, 8, 6, 6), ones(3, 4, 3, 3), *rest, *plain[:3], 2)),
        "transposed": (transposed, (ones(2, 5, 6, 6), ones(4, 8, 3, 3), *rest, *backward)),
        "linear, shorter": (linear, (ones(8, 7), ones(4, 8), *rest)),
        "linear, longer": (linear, (ones(4, 16), ones(4, 8), *rest)),
        "qk, longer first": (matmul, (ones(1, 4, 5, 6), ones(1, 4, 3, 5), *rest, True)),
        "qk, shorter first": (matmul, (ones(1, 4, 5, 3), ones(1, 4, 6, 5), *rest, True)),
        "av, longer first": (matmul, (ones(1, 4, 5, 6), ones(1, 4, 3, 5), *rest, False)),
        "av, shorter first": (matmul, (ones(1, 4, 5, 3), ones(1, 4, 6, 5), *rest, False)),
        "av, batch": (matmul, (ones(2, 4, 5, 3), ones(3, 4, 3, 5), *rest, False)),
        "av, a vector": (matmul, (ones(3), ones(3, 5), *rest, False)),
    }


@pytest.mark.parametrize("name", misfits())
def test_operands_that_do_not_fit_are_refused(name: str) -> None:
    op, arguments = misfits()[name]
    with pytest.raises(InputError):
        op(*arguments)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode, pytest.raises(InputError):
        op(*[mode.from_tensor(value) if isinstance(value, Tensor) else value for value in arguments])


def test_batches_that_broadcast_are_taken() -> None:
    first, second = torch.randn(2, 1, 5, 9), torch.randn(3, 9, 4)
    assert torch.ops.asim.matmul(first, second, RNG, None, NOISY, False).shape == (2, 3, 5, 4)
