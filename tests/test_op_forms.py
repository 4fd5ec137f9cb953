"""Operations that are no plain convolution, linear or matmul run on arrays too, and equal fake-quantised torch there."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import asim_fx

BITS = 8
LEVELS = 2 ** (BITS - 1) - 1


def fake_quantise(value: Tensor, *, signed: bool = True) -> Tensor:
    levels = LEVELS if signed else 2**BITS - 1
    scale = value.abs().max() + 1e-7
    return torch.round((value.abs() / scale).clamp(0, 1) * levels).double() * value.sign() * scale.double() / levels


def check_form(
    model: nn.Module, example: Tensor, reference: Callable[[Tensor], Tensor], *, tolerance: float = 1e-5
) -> asim_fx.MappingReport:
    """Convert for an ideal converter and compare at three batch sizes; every site must be analog."""
    converted = asim_fx.convert(model, "ideal", example)
    for batch in (1, 2, 5):
        x = torch.randn(batch, *example.shape[1:], generator=torch.Generator().manual_seed(batch))
        with torch.no_grad():
            actual, expected = converted(x), reference(x)
        assert actual.shape == expected.shape
        assert float((actual - expected).abs().max()) <= tolerance * float(expected.abs().max())
    report = converted.report
    assert {row.target for row in report.rows} == {"analog"}
    return report


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.ConvTranspose1d(4, 6, 2, 3), (4, 9)),  # stride > kernel: some outputs are the bias alone
        (nn.ConvTranspose2d(8, 6, 3, 2, 1, output_padding=1, groups=2), (8, 5, 7)),
        (nn.ConvTranspose2d(4, 6, 4, 2, 1), (4, 5, 7)),
        (nn.ConvTranspose3d(4, 2, (3, 2, 1), (2, 1, 3), (1, 0, 0), dilation=(1, 3, 1), bias=False), (4, 3, 4, 5)),
    ],
)
def test_transposed_convolution(layer: nn.Module, shape: tuple[int, ...]) -> None:
    convolve = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}[len(shape) - 1]

    def reference(x: Tensor) -> Tensor:
        bias = None if layer.bias is None else layer.bias.double()
        geometry = layer.stride, layer.padding, layer.output_padding, layer.groups, layer.dilation
        return convolve(fake_quantise(x), fake_quantise(layer.weight), bias, *geometry)

    report = check_form(nn.Sequential(layer), torch.randn(2, *shape), reference)
    (row,) = report.rows
    assert row.name == "0"
    assert (
        row.macs
        == torch.Size(shape).numel() * layer.out_channels // layer.groups * torch.Size(layer.kernel_size).numel()
    )


def recurrent_gates(x: Tensor, rnn: nn.Module, suffix: str) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Return the gates of the whole input, and a function for those of a hidden state; all at 8 bits."""
    of_input, of_hidden = (fake_quantise(getattr(rnn, f"weight_{part}_{suffix}")) for part in ("ih", "hh"))
    input_bias, hidden_bias = (getattr(rnn, f"bias_{part}_{suffix}").double() for part in ("ih", "hh"))
    given = F.linear(fake_quantise(x), of_input, input_bias).float()
    return given, lambda hidden: F.linear(fake_quantise(hidden), of_hidden, hidden_bias).float()


def lstm_direction(x: Tensor, rnn: nn.LSTM, suffix: str) -> Tensor:
    given, recurrent = recurrent_gates(x, rnn, suffix)
    hidden = state = x.new_zeros(x.shape[0], rnn.hidden_size)
    outputs = {}
    steps = range(x.shape[1])
    for step in reversed(steps) if suffix.endswith("reverse") else steps:
        i, f, g, o = (given[:, step] + recurrent(hidden)).chunk(4, -1)
        state = f.sigmoid() * state + i.sigmoid() * g.tanh()
        hidden = outputs[step] = o.sigmoid() * state.tanh()
    return torch.stack([outputs[step] for step in steps], 1)


class Sequence(nn.Module):
    def __init__(self, rnn: nn.Module) -> None:
        super().__init__()
        self.rnn = rnn

    def forward(self, x: Tensor) -> Tensor:
        return self.rnn(x)[0]


def test_lstm() -> None:
    torch.manual_seed(0)
    rnn = nn.LSTM(8, 5, 2, batch_first=True, bidirectional=True)

    def reference(x: Tensor) -> Tensor:
        for layer in range(2):
            x = torch.cat([lstm_direction(x, rnn, f"l{layer}"), lstm_direction(x, rnn, f"l{layer}_reverse")], -1)
        return x

    report = check_form(Sequence(rnn), torch.randn(2, 6, 8), reference)
    assert {row.calls for row in report.rows} == {1}
    assert report.totals["macs"] == 6 * 2 * 20 * (8 + 5 + 10 + 5)
    assert report.totals["reads"] == 6 * 8 * 20 * 64


def test_gru() -> None:
    torch.manual_seed(0)
    rnn = nn.GRU(8, 5, batch_first=True)

    def reference(x: Tensor) -> Tensor:
        given, recurrent = recurrent_gates(x, rnn, "l0")
        hidden, outputs = x.new_zeros(x.shape[0], 5), []
        for step in range(x.shape[1]):
            (xr, xz, xn), (hr, hz, hn) = given[:, step].chunk(3, -1), recurrent(hidden).chunk(3, -1)
            update = (xz + hz).sigmoid()
            hidden = (1 - update) * (xn + (xr + hr).sigmoid() * hn).tanh() + update * hidden
            outputs.append(hidden)
        return torch.stack(outputs, 1)

    check_form(Sequence(rnn), torch.randn(2, 6, 8), reference)


def test_reads_of_a_transposed_convolution_are_those_of_its_phases() -> None:
    """3x3 with stride 2, 100 channels, 255 rows: phases of 4, 2, 2 and 1 taps make 2, 1, 1 and 1 row tiles."""
    layer = nn.ConvTranspose2d(100, 6, 3, 2, 1, output_padding=1)
    report = asim_fx.convert(nn.Sequential(layer), "ideal", torch.randn(2, 100, 4, 4)).report
    (row,) = report.rows
    assert (row.k, row.n, row.vectors, row.row_tiles) == (900, 6, 16, 5)
    assert row.reads == 16 * 6 * 5 * 64


class Conditional(nn.Module):
    """CondConv: a weight for each sample, mixed from four, and the batch folded into the groups."""

    def __init__(self) -> None:
        super().__init__()
        self.routing = nn.Linear(4, 3)
        self.weight = nn.Parameter(torch.randn(3, 6 * 2 * 9))

    def forward(self, x: Tensor) -> Tensor:
        return self.convolve(x, self.routing(x.mean((2, 3))).sigmoid() @ self.weight)

    def convolve(self, x: Tensor, weight: Tensor) -> Tensor:
        weight = weight.view(-1, 2, 3, 3)
        result = F.conv2d(x.reshape(1, -1, *x.shape[2:]), weight, padding=1, groups=2 * x.shape[0])
        return result.reshape(-1, 6, *x.shape[2:])

    def reference(self, x: Tensor) -> Tensor:
        routing = self.routing
        given = F.linear(fake_quantise(x.mean((2, 3))), fake_quantise(routing.weight), routing.bias.double())
        weight = fake_quantise(given.float().sigmoid(), signed=False) @ fake_quantise(self.weight)
        return self.convolve(fake_quantise(x), fake_quantise(weight.float()))


def test_convolution_with_computed_weights() -> None:
    torch.manual_seed(0)
    model = Conditional()
    report = check_form(model, torch.randn(2, 4, 5, 7), model.reference)
    row = next(row for row in report.rows if row.kind == "conv")
    assert (row.k, row.n, row.groups, row.vectors, row.macs) == (18, 3, 2, 35, 35 * 18 * 6)
    assert row.weights is None


@pytest.mark.parametrize("scale", ["sample", "static"])
def test_computed_weights_with_other_scales(scale: str) -> None:
    torch.manual_seed(0)
    model, images = Conditional(), torch.randn(4, 4, 5, 7)
    converted = asim_fx.convert(model, asim_fx.load_spec("ideal", [f"defaults.scale={scale}"]), images)
    asim_fx.calibrate(converted, [images])
    with torch.no_grad():
        actual, expected = converted(images), model(images)
    assert float((actual - expected).abs().max()) < 0.02 * float(expected.abs().max())


def test_noise_of_computed_weights_does_not_depend_on_the_batch() -> None:
    torch.manual_seed(0)
    images = torch.randn(4, 4, 5, 7)
    spec = asim_fx.load_spec("generic-255x8b", ["defaults.scale=sample"])
    converted = asim_fx.convert(Conditional(), spec, images)
    with torch.no_grad():
        whole = converted(images)
        converted.reseed(0, first_sample=2)
        torch.testing.assert_close(converted(images[2:3])[0], whole[2], rtol=1e-4, atol=1e-5)


class Bilinear(nn.Module):
    """Three operands: what the first two give, an activation, meets the third."""

    def __init__(self) -> None:
        super().__init__()
        self.mixing = nn.Parameter(torch.randn(5, 7))

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum("bid,de,bje->bij", x[..., :5], self.mixing, x)


def test_einsum_of_three_operands() -> None:
    torch.manual_seed(0)
    model = Bilinear()

    def reference(x: Tensor) -> Tensor:
        mixed = (fake_quantise(x[..., :5]) @ fake_quantise(model.mixing)).float()
        return fake_quantise(mixed) @ fake_quantise(x).mT

    report = check_form(model, torch.randn(2, 3, 7), reference)
    assert [(row.name, row.macs) for row in report.rows] == [("mixing", 3 * 5 * 7), ("matmul_0", 3 * 7 * 3)]


class Direct(nn.Module):
    """A parameter that is a site of its own: it has no module that the simulation could stand beside."""

    def __init__(self) -> None:
        super().__init__()
        self.right = nn.Parameter(torch.randn(8, 3))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.right


def test_a_parameter_multiplied_directly() -> None:
    model = Direct()
    report = check_form(model, torch.randn(2, 6, 8), lambda x: fake_quantise(x) @ fake_quantise(model.right))
    assert [row.name for row in report.rows] == ["right"]
